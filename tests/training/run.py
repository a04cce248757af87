"""A training in a process of its own: `python run.py DIRECTORY KIND [resume] [kill STEP]`."""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path

import torch
from torch import nn

from longspan.training import (
    Clipping,
    JsonLinesLogger,
    Loss,
    Plan,
    ShuffledBatches,
    StreamBatches,
    is_main_process,
    train,
)

PLANS = {
    "shuffled": Plan(
        max_epochs=4, schedule="one_cycle", clipping=Clipping(norm=0.5), patience=4, seed=3
    ),
    "stream": Plan(max_epochs=4, optimizer="nt_asgd", learning_rate=0.3, carry_state=True, seed=3),
    "plateau": Plan(max_epochs=4, schedule="plateau", optimizer="sgd", accumulate=2, seed=3),
}


class Model(nn.Module):
    def __init__(self, dropout: float) -> None:
        super().__init__()
        self.lstm = nn.LSTM(1, 8)
        self.dropout = nn.Dropout(dropout)
        self.output = nn.Linear(8, 1)

    def forward(self, x, state=None):
        output, state = self.lstm(x, state)
        return self.output(self.dropout(output)), state


def loss(model, batch, state):
    inputs, targets = batch
    output, state = model(inputs, state)
    error = (output - targets).square()
    return Loss(error.sum(), error.numel(), state)


class KillAt:
    """A logger that kills its process, without warning, when a step is reached."""

    def __init__(self, step: int) -> None:
        self.at = step

    def start(self, position, step, total_steps):
        pass

    def step(self, record):
        if record["step"] == self.at:
            os.kill(os.getpid(), signal.SIGKILL)

    def epoch(self, record):
        pass

    def flush(self):
        return 0

    def close(self):
        pass


def main(directory: Path, kind: str, *words: str) -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    dropout = 0.0 if "plain" in words else 0.3
    model = Model(dropout)
    data = torch.sin(torch.arange(203.0) / 5)[:, None]
    windows = data.unfold(0, 12, 1).transpose(1, 2)  # (N, 12, 1)

    def gather(indices):
        chosen = windows[indices].transpose(0, 1)
        return chosen[:-1], chosen[1:]

    batches = ShuffledBatches(len(windows), 20, gather, seed=7)
    validation = ShuffledBatches(30, 7, gather, shuffle=False)
    if kind == "stream":
        batches = StreamBatches(data, 5, 4, varied=True, seed=7)
    loggers = [JsonLinesLogger(directory / "log.jsonl")]
    if "kill" in words:
        loggers.append(KillAt(int(words[words.index("kill") + 1])))
    history = train(
        model, batches, loss, PLANS[kind], validation=validation if kind != "stream" else None,
        checkpoint_dir=directory, checkpoint_every=3, resume="resume" in words, loggers=loggers,
    )  # fmt: skip
    if is_main_process():
        torch.save(model.state_dict(), directory / "weights.pt")
        (directory / "steps.json").write_text(json.dumps([r["loss"] for r in history.steps]))


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
