"""The translator's network: an encoder, attention, and a decoder, all at once or step by step.

Shapes: S steps of the source, T of the target, B rows, E embedding, H hidden units, L layers of the
decoder, M = H width of what the encoder says of a step, V target vocabulary.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

import longspan.nn
from longspan.cells import Step
from longspan.nn import Attention, Memory, Softmax, smoothing_penalty
from longspan.training import Loss

LAYERS = {"lstm": longspan.nn.LSTM, "gru": longspan.nn.GRU}


class PairBatch(NamedTuple):
    """Pairs side by side.

    Attributes:
        source: Tokens, int64 (S, B).
        source_lengths: (B,); 0 is allowed.
        inputs: The target, begun by its first symbol, int64 (T, B).
        targets: The target, ended by its last symbol, (T, B).
        lengths: Of these, (B,).
    """

    source: Tensor
    source_lengths: Tensor
    inputs: Tensor
    targets: Tensor
    lengths: Tensor


class State(NamedTuple):
    """Where a decoder is.

    Attributes:
        hidden: The cell's states, each (L, N, H).
        fed: What the softmax read at the step before, (N, E); zeros at first.
    """

    hidden: tuple[Tensor, ...]
    fed: Tensor

    def rows(self, numbers: Tensor) -> State:
        """Return some of the rows, int64 (N',)."""
        return State(tuple(s[:, numbers] for s in self.hidden), self.fed[numbers])


class TranslateNetwork(nn.Module):
    """Predicts each token of the target from the source and the tokens before it.

    The encoder reads the source; its last states, through a linear layer (and tanh for h), are the
    decoder's first ones. The decoder's output hₜ asks the encoder's outputs for a context cₜ;
    h̃ₜ = tanh(W [hₜ; cₜ]) and p(yₜ) = softmax(V h̃ₜ + b). With input feeding the decoder reads
    [yₜ₋₁; h̃ₜ₋₁] (Luong et al. 2015). Without it, training runs the whole target at once.

    Args:
        source_size: Tokens of the source.
        target_size: V.
        shared: One embedding for both; the sizes must then be equal.
        cell: ``"lstm"`` or ``"gru"``.
        embedding_size: E.
        hidden_size: H.
        encoder_layers: Layers of the encoder.
        decoder_layers: L.
        bidirectional: Whether the encoder reads in both directions, H / 2 units each.
        attention: A kind of `longspan.nn.Attention`, or ``"none"``.
        attention_size: Width of additive scores.
        input_feeding: See above.
        tied: Use the target's embedding as V.
        dropout: Of embeddings, between layers and of h̃.
        label_smoothing: ε, see `longspan.nn.smoothing_penalty`; in training alone.
        sampling: Share of steps, at the end of `sampling_steps`, at which training reads a token
            drawn from the network's own distribution (Bengio et al. 2015).
    """

    def __init__(
        self,
        source_size: int,
        target_size: int,
        *,
        shared: bool = False,
        cell: str = "lstm",
        embedding_size: int = 256,
        hidden_size: int = 256,
        encoder_layers: int = 1,
        decoder_layers: int = 1,
        bidirectional: bool = True,
        attention: str = "general",
        attention_size: int | None = None,
        input_feeding: bool = False,
        tied: bool = True,
        dropout: float = 0.3,
        label_smoothing: float = 0.1,
        sampling: float = 0.0,
    ) -> None:
        super().__init__()
        self.input_feeding, self.label_smoothing = input_feeding, label_smoothing
        self.sampling, self.sampling_steps = sampling, 1
        self.register_buffer("calls", torch.zeros((), dtype=torch.int64))
        self.calls: Tensor
        self.embedding = _embedding(target_size, embedding_size)
        self.source_embedding = (
            self.embedding if shared else _embedding(source_size, embedding_size)
        )
        self.encoder = LAYERS[cell](
            embedding_size, hidden_size // (1 + bidirectional), encoder_layers,
            bidirectional=bidirectional, dropout=dropout,
        )  # fmt: skip
        self.decoder = LAYERS[cell](
            embedding_size * (1 + input_feeding), hidden_size, decoder_layers, dropout=dropout
        )
        states = len(self.decoder.cell.states)
        self.bridges = nn.ModuleList(
            nn.Linear(hidden_size, decoder_layers * hidden_size) for _ in range(states)
        )
        self.attention = None
        if attention != "none":
            self.attention = Attention(
                hidden_size, hidden_size, kind=attention, size=attention_size
            )
        width = hidden_size * (1 + (self.attention is not None))
        self.readout = nn.Linear(width, embedding_size, bias=False)
        self.dropout = nn.Dropout(dropout)
        self.head = Softmax(embedding_size, target_size, tied=self.embedding if tied else None)

    def forward(self, batch: PairBatch) -> Loss:
        """Return the loss summed over all target tokens, and their number."""
        features = self.features(batch)[0]
        inside = torch.arange(len(batch.targets))[:, None] < batch.lengths
        x, targets = features[inside], batch.targets[inside]
        total = self.head.loss(x, targets)
        if self.training:
            self.calls += 1
            if self.label_smoothing:
                penalty = smoothing_penalty(x, self.head.weight, self.head.bias, targets)
                total = total + self.label_smoothing * penalty
        return Loss(total, len(targets))

    def features(self, batch: PairBatch) -> tuple[Tensor, Tensor | None]:
        """Return h̃ of all steps, (T, B, E), and the attention's weights, (T, B, S), or None."""
        memory, state = self.encode(batch.source, batch.source_lengths)
        if self.input_feeding or (self.training and self.sampling):
            return self._one_by_one(batch.inputs, memory, state)
        x = self.dropout(self.embedding(batch.inputs))
        hx: Any = state.hidden
        h = self.decoder(x, hx if len(hx) > 1 else hx[0], lengths=batch.lengths)[0]
        return self._read(h, memory)

    def encode(self, source: Tensor, lengths: Tensor) -> tuple[Memory | None, State]:
        """Return what the decoder looks at (None without attention), and where it begins.

        Args:
            source: Tokens, int64 (S, B).
            lengths: (B,); 0 is allowed.
        """
        x = self.dropout(self.source_embedding(source))
        outputs, final = self.encoder(x, lengths=lengths)
        parts = final if isinstance(final, tuple) else (final,)
        directions, hidden = self.encoder.num_directions, self.decoder.hidden_size
        first = []
        for k, (bridge, part) in enumerate(zip(self.bridges, parts, strict=True)):
            last = bridge(torch.cat(tuple(part[-directions:]), -1))
            last = last if k else torch.tanh(last)
            first.append(last.unflatten(-1, (-1, hidden)).transpose(0, 1).contiguous())
        memory = None
        if self.attention is not None:
            memory = self.attention.prepare(self.dropout(outputs), lengths)
        fed = x.new_zeros(source.shape[1], self.embedding.embedding_dim)
        return memory, State(tuple(first), fed)

    def step(
        self, tokens: Tensor, state: State, memory: Memory | None
    ) -> tuple[Tensor, State, Tensor | None]:
        """Go one step on.

        Args:
            tokens: The token before, int64 (N,), where N = K·B: K hypotheses of each row, those
                of the first hypothesis first.
            state: Where the decoder is.
            memory: Of the B rows.

        Returns:
            h̃, (N, E); where it is then; the attention's weights, (N, S), or None.
        """
        x = self.dropout(self.embedding(tokens))
        if self.input_feeding:
            x = torch.cat([x, state.fed], -1)
        x, hidden = self._advance(x, state.hidden)
        rows = len(x) if memory is None else len(memory.values)
        features, weights = self._read(x.view(-1, rows, x.shape[-1]), memory)
        features = features.reshape(len(x), -1)
        return features, State(hidden, features), None if weights is None else weights.flatten(0, 1)

    def _advance(self, x: Tensor, hidden: tuple[Tensor, ...]) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Return the decoder's output after one step from x, (N, ·), and its states."""
        if not torch.is_grad_enabled():
            hx: Any = hidden
            output, final = self.decoder(x[None], hx if len(hx) > 1 else hx[0])
            return output[0], final if isinstance(final, tuple) else (final,)
        # The kernels' backward sums up the weights' gradients at every call; for calls of one step
        # that takes longer than what torch records of these operators.
        after = []
        for layer in range(self.decoder.num_layers):
            if layer and self.training:
                x = F.dropout(x, self.decoder.dropout)
            names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
            params = {name: getattr(self.decoder, f"{name}_l{layer}") for name in names}
            gates = F.linear(x, params["weight_ih"], params["bias_ih"])
            new, _ = self.decoder.cell.step(gates, tuple(s[layer] for s in hidden), Step(params))
            after.append(new)
            x = new[0]
        return x, tuple(torch.stack(s) for s in zip(*after, strict=True))

    @torch.no_grad()
    def nll(self, batch: PairBatch) -> Tensor:
        """Return -log p of each row's target, its end included, (B,)."""
        features = self.features(batch)[0]
        losses = self.head.nll(features.flatten(0, 1), batch.targets.flatten())
        inside = torch.arange(len(batch.targets))[:, None] < batch.lengths
        return torch.where(inside, losses.view_as(batch.targets), 0.0).sum(0)

    def sampling_share(self) -> float:
        """Return the share of steps at which training now reads its own tokens."""
        return self.sampling * min(int(self.calls) / self.sampling_steps, 1.0)

    def _read(self, h: Tensor, memory: Memory | None) -> tuple[Tensor, Tensor | None]:
        weights = None
        if self.attention is not None and memory is not None:
            context, weights = self.attention(h, memory)
            h = torch.cat([h, context], -1)
        return self.dropout(torch.tanh(self.readout(h))), weights

    def _one_by_one(
        self, inputs: Tensor, memory: Memory | None, state: State
    ) -> tuple[Tensor, Tensor | None]:
        found, seen = [], []
        share = self.sampling_share() if self.training else 0.0
        for t, tokens in enumerate(inputs):
            if t and share:
                tokens = self._sampled(tokens, found[-1], share)
            features, state, weights = self.step(tokens, state, memory)
            found.append(features)
            seen.append(weights)
        return torch.stack(found), None if memory is None else torch.stack(seen)

    @torch.no_grad()
    def _sampled(self, tokens: Tensor, features: Tensor, share: float) -> Tensor:
        """Return the tokens, each with probability `share` replaced by a drawn one."""
        own = torch.rand(len(tokens)) < share
        drawn = torch.multinomial(self.head.log_probs(features).exp(), 1)[:, 0]
        return torch.where(own, drawn, tokens)


def _embedding(size: int, width: int) -> nn.Embedding:
    embedding = nn.Embedding(size, width)
    nn.init.uniform_(embedding.weight, -0.1, 0.1)
    return embedding
