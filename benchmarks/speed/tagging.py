"""Training throughput of a tagger beside the same network with torch.nn.LSTM.

    python -m benchmarks.speed.tagging

Both networks start with the same weights and must have the same loss and gradients; then they take
turns with whole training steps: forward, backward, clipping, AdamW. The plain one is what people
write: nn.Embedding, nn.Conv1d over characters, nn.LSTM on packed sequences, and a conditional
random field by torch.logsumexp, a step at a time.
"""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from benchmarks.machine import machine
from longspan.tasks.tag.network import TagInputs, TagNetwork

#: Rounds in which both take a turn, steps in a turn, and turns that do not count.
ROUNDS, STEPS, WARM_UP = 9, 4, 2
WORDS, CHARACTERS, CHARACTER_SIZE = 5000, 80, 50


@dataclass(frozen=True)
class Case:
    """Sizes of a network and of a batch."""

    title: str
    hidden: int
    labels: int
    batch: int
    shortest: int
    longest: int


CASES = [
    Case("ATIS: 128 units, 127 labels, 16 × 5 to 20 words", 128, 127, 16, 5, 20),
    Case("CoNLL-2000: 200 units, 40 labels, 16 × 10 to 40 words", 200, 40, 16, 10, 40),
]


class Plain(nn.Module):
    """The usual way."""

    def __init__(self, case: Case, crf: bool) -> None:
        super().__init__()
        self.words = nn.Embedding(WORDS, 100, padding_idx=0)
        self.characters = nn.Embedding(CHARACTERS, 30, padding_idx=0)
        self.convolution = nn.Conv1d(30, CHARACTER_SIZE, 3, padding=1)
        self.lstm = nn.LSTM(100 + CHARACTER_SIZE, case.hidden, bidirectional=True)
        self.output = nn.Linear(2 * case.hidden, case.labels)
        self.crf = crf
        self.transitions = nn.Parameter(torch.empty(case.labels, case.labels), requires_grad=crf)
        self.start = nn.Parameter(torch.empty(case.labels), requires_grad=crf)
        self.end = nn.Parameter(torch.empty(case.labels), requires_grad=crf)

    def forward(self, inputs: TagInputs) -> Tensor:
        """Return the mean loss of the sequences."""
        assert inputs.labels is not None
        letters = self.characters(inputs.characters.t()).transpose(1, 2)  # (W, E, C)
        inside = torch.arange(letters.shape[2]) < inputs.character_lengths[:, None]
        found = self.convolution(letters).masked_fill(~inside[:, None], -torch.inf).amax(-1)
        x = torch.cat([self.words(inputs.words), found[inputs.forms]], -1)
        packed = pack_padded_sequence(x, inputs.lengths, enforce_sorted=False)
        h, _ = pad_packed_sequence(self.lstm(packed)[0])
        scores = self.output(h)
        mask = torch.arange(len(scores))[:, None] < inputs.lengths
        if self.crf:
            return (self._partition(scores, mask) - self._score(scores, inputs, mask)).mean()
        losses = F.cross_entropy(scores.movedim(-1, 1), inputs.labels, reduction="none")
        return (losses * mask).sum(0).mean()

    def _partition(self, scores: Tensor, mask: Tensor) -> Tensor:
        alpha = self.start + scores[0]
        for x, running in zip(scores[1:], mask[1:], strict=True):
            after = torch.logsumexp(alpha[:, :, None] + self.transitions, 1) + x
            alpha = torch.where(running[:, None], after, alpha)
        return torch.logsumexp(alpha + self.end, 1)

    def _score(self, scores: Tensor, inputs: TagInputs, mask: Tensor) -> Tensor:
        labels = inputs.labels
        assert labels is not None
        own = (scores.gather(2, labels[..., None])[..., 0] * mask).sum(0)
        own = own + (self.transitions[labels[:-1], labels[1:]] * mask[1:]).sum(0)
        last = labels.gather(0, inputs.lengths[None] - 1)[0]
        return own + self.start[labels[0]] + self.end[last]


class Ours(nn.Module):
    """`TagNetwork`."""

    def __init__(self, case: Case, crf: bool) -> None:
        super().__init__()
        self.network = TagNetwork(
            num_words=WORDS, num_characters=CHARACTERS, num_labels=case.labels, crf=crf,
            hidden_size=case.hidden, dropout=0.0, rare_rate=0.0, character_size=CHARACTER_SIZE,
        )  # fmt: skip

    def forward(self, inputs: TagInputs) -> Tensor:
        """Return the mean loss of the sequences."""
        return self.network.label_loss(self.network(inputs)[0], inputs).mean()


def give(ours: Ours, plain: Plain) -> None:
    """Give the plain network our weights."""
    network = ours.network
    assert network.characters is not None
    with torch.no_grad():
        plain.words.weight.copy_(network.word_embedding.weight)
        plain.characters.weight.copy_(network.characters.embedding.weight)
        weight = network.characters.convolution.weight.view(CHARACTER_SIZE, 3, 30)
        plain.convolution.weight.copy_(weight.transpose(1, 2))
        plain.convolution.bias.copy_(network.characters.convolution.bias)
        plain.lstm.load_state_dict(network.recurrent.state_dict())
        plain.output.load_state_dict(network.output.state_dict())
        for name in ("transitions", "start", "end"):
            getattr(plain, name).copy_(getattr(network.chain, name))


def check(plain: Plain, ours: Ours, inputs: TagInputs) -> None:
    """Compare loss and the word vectors' gradient, which all others take part in."""
    losses = [model(inputs) for model in (plain, ours)]
    torch.testing.assert_close(losses[1], losses[0], rtol=1e-4, atol=1e-4)
    gradients = [
        torch.autograd.grad(loss, weight)[0]
        for loss, weight in zip(
            losses, (plain.words.weight, ours.network.word_embedding.weight), strict=True
        )
    ]
    torch.testing.assert_close(gradients[1], gradients[0], rtol=1e-3, atol=1e-5)


def batch(case: Case) -> TagInputs:
    """Return words of 2 to 10 characters in sequences of different lengths."""
    lengths = torch.randint(case.shortest, case.longest + 1, (case.batch,))
    lengths[0] = case.longest
    shape = (case.longest, case.batch)
    inside = torch.arange(case.longest)[:, None] < lengths
    words = torch.randint(2, WORDS, shape) * inside
    different, forms = words.unique(return_inverse=True)
    sizes = torch.randint(2, 11, different.shape)
    characters = torch.randint(2, CHARACTERS, (10, len(different)))
    characters *= torch.arange(10)[:, None] < sizes
    labels = torch.randint(case.labels, shape) * inside
    return TagInputs(words, forms, characters, sizes, lengths, labels)


def turn(model: nn.Module, optimizer: torch.optim.Optimizer, inputs: TagInputs) -> float:
    """Return seconds a training step."""
    began = time.perf_counter()
    for _ in range(STEPS):
        optimizer.zero_grad()
        model(inputs).backward()
        nn.utils.clip_grad_norm_(model.parameters(), 5.0)
        optimizer.step()
    return (time.perf_counter() - began) / STEPS


def row(case: Case, crf: bool) -> str:
    """Return one line of the table."""
    torch.manual_seed(0)
    inputs = batch(case)
    plain, ours = Plain(case, crf), Ours(case, crf)
    give(ours, plain)
    check(plain, ours, inputs)
    models = {"torch": plain, "ours": ours}
    optimizers = {
        name: torch.optim.AdamW([p for p in m.parameters() if p.requires_grad], foreach=True)
        for name, m in models.items()
    }
    seconds: dict[str, list[float]] = {name: [] for name in models}
    for number in range(ROUNDS + WARM_UP):
        for name, model in models.items():
            taken = turn(model, optimizers[name], inputs)
            if number >= WARM_UP:
                seconds[name].append(taken)
    words = int(inputs.lengths.sum())
    rates = {name: words / statistics.median(values) for name, values in seconds.items()}
    return (
        f"| {case.title} | {'yes' if crf else 'no'} | {torch.get_num_threads()} | "
        f"{rates['torch']:,.0f} | {rates['ours']:,.0f} | {rates['ours'] / rates['torch']:.2f} |"
    )


def main() -> None:
    """Measure every case with one thread and with two, and print a table."""
    print(f"{machine()}\n")
    print(
        "| network | CRF | threads | torch, words/s | ours, words/s | ours / torch |\n"
        "|---|---|--:|--:|--:|--:|"
    )
    for threads in (1, 2):
        torch.set_num_threads(threads)
        for case in CASES:
            for crf in (False, True):
                print(row(case, crf), flush=True)


if __name__ == "__main__":
    main()
