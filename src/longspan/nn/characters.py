"""Words from their characters: what a network knows of a word it has never seen."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from longspan.errors import InputError, unknown_name
from longspan.nn.layers import LSTM
from longspan.nn.ragged import every_length

ENCODERS = ("cnn", "lstm")


class CharacterEncoder(nn.Module):
    """Vectors of many words at once from their characters, flat: words take the place of a batch.

    ``"cnn"``: the largest value over all places of a convolution (Santos & Zadrozny 2014; Ma &
    Hovy 2016); ``"lstm"``: the last states of both directions (Lample et al. 2016). Shapes: C
    characters of the longest word, W words, E embedding, F features. An empty word is zero.

    >>> import torch
    >>> encoder = CharacterEncoder(100, output_size=20)
    >>> encoder(torch.ones(7, 3, dtype=torch.int64), lengths=[7, 2, 0]).shape
    torch.Size([3, 20])

    Args:
        num_characters: Characters that there are; number 0 is padding.
        kind: ``"cnn"`` or ``"lstm"``.
        embedding_size: E.
        output_size: F; for ``"lstm"`` an even number, half of it for each direction.
        kernel_size: Characters that the convolution sees at once, an odd number.

    Raises:
        InputError: If there is no such kind, or a size does not fit.
    """

    def __init__(
        self,
        num_characters: int,
        *,
        kind: str = "cnn",
        embedding_size: int = 30,
        output_size: int = 50,
        kernel_size: int = 3,
    ) -> None:
        super().__init__()
        if kind not in ENCODERS:
            raise InputError(unknown_name("character encoder", kind, ENCODERS))
        if kernel_size % 2 == 0 or kernel_size < 1:
            raise InputError(f"`kernel_size` must be odd and positive, got {kernel_size}.")
        if kind == "lstm" and output_size % 2:
            raise InputError(
                f"`output_size` of kind='lstm' is shared by two directions and must be even, got "
                f"{output_size}."
            )
        self.kind, self.output_size, self.kernel_size = kind, output_size, kernel_size
        self.embedding = nn.Embedding(num_characters, embedding_size, padding_idx=0)
        # Most characters are common, so their vectors may be small (Ma & Hovy 2016).
        bound = (3.0 / embedding_size) ** 0.5
        with torch.no_grad():
            self.embedding.weight[1:].uniform_(-bound, bound)
        if kind == "lstm":
            self.lstm = LSTM(embedding_size, output_size // 2, bidirectional=True)
        else:
            self.convolution = nn.Linear(kernel_size * embedding_size, output_size)

    def forward(self, characters: Tensor, lengths: Tensor | Sequence[int] | None = None) -> Tensor:
        """Return a vector for each word, (W, F).

        Args:
            characters: Numbers of the characters, (C, W); what stands at padding does not matter.
            lengths: Characters of each word, (W,); all full by default.

        Raises:
            InputError: If the shapes do not fit.
        """
        if characters.dim() != 2:
            raise InputError(
                f"`characters` must have shape (C, W), got {tuple(characters.shape)}. Words stand "
                "side by side, their characters below each other."
            )
        count, words = characters.shape
        known = every_length(lengths, characters)
        if count == 0 or words == 0:
            return self.embedding.weight.new_zeros(words, self.output_size)
        inside = torch.arange(count, device=characters.device)[:, None] < known
        x = self.embedding(torch.where(inside, characters, 0)) * inside[..., None]
        if self.kind == "lstm":
            _, (h, _) = self.lstm(x, lengths=known)
            return h.transpose(0, 1).flatten(1)
        return self._convolve(x, inside)

    def _convolve(self, x: Tensor, inside: Tensor) -> Tensor:
        """Return the largest features of each word; beyond its ends it is followed by zeros."""
        reach = self.kernel_size // 2
        wide = nn.functional.pad(x, (0, 0, 0, 0, reach, reach))
        seen = torch.cat([wide[k : k + len(x)] for k in range(self.kernel_size)], -1)
        features = self.convolution(seen).masked_fill(~inside[..., None], -torch.inf)
        return torch.where(inside[0, :, None], features.amax(0), 0.0)
