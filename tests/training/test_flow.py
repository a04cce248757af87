"""Gradient flow in trainings: equal to autograd's, whatever the batches; what is learnt stays."""

from __future__ import annotations

import json

import pytest
import torch
from torch import nn

from longspan.nn import GRU, LSTM, RNN, weight_drop
from longspan.training import (
    Clipping,
    FlowMeter,
    JsonLinesLogger,
    Loss,
    Plan,
    ShuffledBatches,
    train,
)

STEPS, ROWS = 7, 12


class Model(nn.Module):
    def __init__(self, kind=LSTM, **options):
        super().__init__()
        torch.manual_seed(3)
        self.body = kind(2, 5, 2, **options)
        self.out = nn.Linear(self.body.num_directions * 5, 1)

    def forward(self, x):
        return self.out(self.body(x)[0])


def error(model, batch, state):
    x, y = batch
    difference = (model(x.transpose(0, 1))[-1] - y).square()
    return Loss(difference.sum(), difference.numel())


def source(batch_size=ROWS):
    make = torch.Generator().manual_seed(1)
    x, y = torch.randn(ROWS, STEPS, 2, generator=make), torch.randn(ROWS, 1, generator=make)
    return ShuffledBatches(ROWS, batch_size, lambda rows: (x[rows], y[rows]))


def run(model=None, batch_size=ROWS, **options):
    model = model or Model()
    extra = {k: options.pop(k) for k in ("loggers", "flow_every") if k in options}
    plan = Plan(**{"max_steps": 1, "clipping": Clipping(norm=1e-3), **options})
    return train(model, source(batch_size), error, plan, **extra), model


@pytest.mark.parametrize("kind", [LSTM, GRU, RNN])
def test_it_equals_autograd_step_by_step(kind):
    model = Model(kind)
    history, _ = run(model)
    record = history.flow[0]
    fresh = Model(kind)
    x, y = next(iter(source().epoch(1, 0, 0, 1))).batch
    # Both layers by hand, one step at a time.
    x, states, kept = x.transpose(0, 1), [None, None], []
    layers = [kind(2, 5), kind(5, 5)]
    for depth, layer in enumerate(layers):
        layer.load_state_dict(
            {n.replace(f"_l{depth}", "_l0"): p for n, p in fresh.body.state_dict().items()
             if n.endswith(f"_l{depth}")}
        )  # fmt: skip
    for t in range(STEPS):
        below = x[t : t + 1]
        for depth, layer in enumerate(layers):
            _, state = layer(below, states[depth])
            parts = state if isinstance(state, tuple) else (state,)
            for part, name in zip(parts, "hc", strict=False):
                part.retain_grad()
                kept.append((f"flow/body.l{depth}/{name}/lag {STEPS - 1 - t}", part))
            states[depth], below = state, parts[0]
    loss = (fresh.out(below)[0] - y).square().mean()
    loss.backward()
    found = 0
    for name, part in kept:
        if name not in record or name.split("/")[2] == "c":
            continue  # the one-step call's c is a copy, which lacks what h gets of it
        norm = float(part.grad.square().sum() / ROWS) ** 0.5
        assert record[name] == pytest.approx(norm, rel=1e-4), name
        found += 1
    assert found == 2 * 5  # lags 0, 1, 2, 4 and 6 of two layers
    for depth, layer in enumerate(layers):
        for kind_of in ("weight_ih", "weight_hh"):
            gradient = getattr(layer, f"{kind_of}_l0").grad
            for gate, own in zip(layer.cell.gates, gradient.split(5), strict=True):
                name = f"flow/body.l{depth}/{kind_of}/{gate}"
                assert record[name] == pytest.approx(float(own.norm()), rel=1e-4)


def test_accumulated_batches_measure_what_one_batch_measures():
    one, _ = run()
    many, _ = run(batch_size=4, accumulate=3)
    assert one.flow[0].keys() == many.flow[0].keys()
    for name, value in one.flow[0].items():
        assert many.flow[0][name] == pytest.approx(value, rel=1e-4), name


def test_every_so_many_steps_and_in_the_logs(tmp_path):
    logger = JsonLinesLogger(tmp_path / "log.jsonl")
    history, _ = run(max_steps=5, max_epochs=5, flow_every=2, loggers=[logger])
    assert [record["step"] for record in history.flow] == [1, 3, 5]
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    steps = [line for line in lines if "loss" in line]
    assert all("flow/body.l0/h/lag 0" in line for line in steps[::2])
    assert not any(name.startswith("flow") for line in steps[1::2] for name in line)


@pytest.mark.parametrize("dropped", [False, True])
def test_what_is_learnt_does_not_depend_on_it(dropped):
    weights = []
    for every in (None, 1):
        model = Model()
        if dropped:
            weight_drop(model.body, 0.5)
        history, _ = run(model, max_steps=4, max_epochs=4, flow_every=every)
        assert len(history.flow) == (4 if every else 0)
        assert model.body.flows is None
        weights.append(torch.cat([p.flatten() for p in model.parameters()]))
    assert torch.equal(*weights)


def test_both_directions_and_shapes_of_names():
    history, _ = run(Model(bidirectional=True))
    layers = {name.split("/")[1] for name in history.flow[0] if name != "step"}
    assert layers == {"body.l0", "body.l0_reverse", "body.l1", "body.l1_reverse"}
    # The loss is at the last step: of the reverse direction's scan, the first.
    record = history.flow[0]
    assert record["flow/body.l1_reverse/h/lag 6"] > 0.0
    assert record["flow/body.l1_reverse/h/lag 0"] == 0.0


def test_a_bare_layer_and_a_layer_that_was_not_called():
    layer = LSTM(1, 2)
    flow = FlowMeter(layer, 1)
    flow.begin(0)
    assert flow.end(1.0) == {}  # no gradients: nothing to tell
    flow.begin(0)
    layer(torch.ones(1, 1, 1))[0].sum().backward()
    assert set(flow.end(1.0)) == {
        "flow/l0/h/lag 0", "flow/l0/c/lag 0",
        *(f"flow/l0/{w}/{g}" for w in ("weight_ih", "weight_hh") for g in "ifgo"),
    }  # fmt: skip


def test_an_error_leaves_the_layers_as_they_were():
    model = Model()

    def broken(model, batch, state):
        raise RuntimeError("no")

    with pytest.raises(RuntimeError, match="no"):
        train(model, source(), broken, Plan())
    assert model.body.flows is None
