"""The loop's parts, one by one."""

from __future__ import annotations

import json
import math
from typing import NamedTuple

import numpy as np
import pytest
import torch
from torch import nn

from longspan.errors import CheckpointError, InputError, TrainingDivergedError
from longspan.training import (
    BucketedBatches,
    Clipping,
    JsonLinesLogger,
    Loss,
    Plan,
    Share,
    ShuffledBatches,
    StreamBatches,
    TensorBoardLogger,
    train,
)
from longspan.training.optimizers import Averaging
from longspan.training.schedules import Plateau, with_warmup


def regression(n=64):
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(n, 3, generator=generator)
    return x, x @ torch.tensor([[1.0], [-2.0], [0.5]])


def squared_error(model, batch, state):
    x, y = batch
    error = (model(x) - y).square()
    return Loss(error.sum(), error.numel())


def source(n=64, batch_size=16, **options):
    x, y = regression(n)
    return ShuffledBatches(n, batch_size, lambda i: (x[i], y[i]), **options)


def linear():
    torch.manual_seed(1)
    return nn.Linear(3, 1)


def test_it_learns_and_is_reproducible():
    results = []
    for seed in (0, 0, 1):
        model = linear()
        plan = Plan(max_epochs=60, learning_rate=0.05, seed=seed)
        history = train(model, source(seed=seed), squared_error, plan)
        results.append((model.weight.detach().clone(), [r["loss"] for r in history.steps]))
    assert history.steps[-1]["loss"] < 1e-3
    assert history.stopped == "max_epochs"
    assert torch.equal(results[0][0], results[1][0])
    assert results[0][1] == results[1][1] != results[2][1]


def test_the_callers_random_state_is_left_alone():
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    model = linear()
    torch.manual_seed(5)
    train(model, source(), squared_error, Plan())
    assert torch.equal(torch.rand(3), expected)


def test_accumulated_batches_equal_one_large_batch():
    weights = []
    for batch_size, accumulate in ((32, 1), (8, 4)):
        model = linear()
        plan = Plan(max_epochs=3, optimizer="sgd", accumulate=accumulate)
        train(model, source(batch_size=batch_size, shuffle=False), squared_error, plan)
        weights.append(model.weight.detach().clone())
    torch.testing.assert_close(*weights)


def test_early_stopping_keeps_the_best_weights():
    model = linear()
    seen = []

    def rising(model, batch, state):
        loss = squared_error(model, batch, state)
        if not torch.is_grad_enabled():  # a validation loss that is best in epoch 2
            seen.append(model.weight.detach().clone())
            return Loss(torch.tensor(abs(len(seen) - 2.0)), 1)
        return loss

    validation = source(batch_size=64, shuffle=False)
    plan = Plan(max_epochs=50, patience=3)
    history = train(model, source(), rising, plan, validation=validation)
    assert history.best_epoch == 2
    assert history.best_step == 8
    assert history.stopped == "patience"
    assert len(history.epochs) == 5
    assert torch.equal(model.weight, seen[1])


def test_errors_judge_in_place_of_the_loss():
    """The loss falls from epoch to epoch; the mean of two errors is least in the third."""
    model, epochs = linear(), []

    def loss(model, batch, state):
        found = squared_error(model, batch, state)
        if torch.is_grad_enabled():
            return found
        if len(batch[0]) == 16:  # the second of two batches of an epoch
            return found._replace(errors=((0.0, 3.0), (1.0, 1.0)))
        epochs.append(model.weight.detach().clone())
        return found._replace(errors=((abs(len(epochs) - 3.0), 1.0), (0.0, 1.0)))

    validation = source(batch_size=48, shuffle=False)
    history = train(model, source(), loss, Plan(max_epochs=20, patience=4), validation=validation)
    # Half of |epoch - 3| / 4, and half of 1 / 2.
    found = [r["validation_error"] for r in history.epochs[:4]]
    assert found == [0.5, 0.375, 0.25, 0.375]
    assert history.best_epoch == 3
    assert len(history.epochs) == 7
    assert history.epochs[6]["validation_loss"] < history.epochs[2]["validation_loss"]
    assert torch.equal(model.weight, epochs[2])


def gradients(*values):
    parameters = [nn.Parameter(torch.ones_like(torch.tensor(v))) for v in values]
    for p, v in zip(parameters, values, strict=True):
        p.grad = torch.tensor(v)
    return parameters


def test_clipping_by_norm_value_and_ratio():
    parameters = gradients([3.0, 0.0], [4.0])
    before, share = Clipping(norm=1.0)(parameters)
    assert before == 5.0
    assert share == pytest.approx(0.8)
    torch.testing.assert_close(parameters[0].grad, torch.tensor([0.6, 0.0]), rtol=1e-5, atol=0)

    parameters = gradients([3.0, -0.1], [-4.0])
    _, share = Clipping(value=0.5)(parameters)
    assert torch.equal(parameters[0].grad, torch.tensor([0.5, -0.1]))
    assert torch.equal(parameters[1].grad, torch.tensor([-0.5]))
    assert share == pytest.approx(1.0 - math.sqrt(0.51) / math.sqrt(25.01), rel=1e-5)

    parameters = gradients([[3.0, 4.0], [0.001, 0.0]])  # rows of norm √2
    Clipping(adaptive=0.1)(parameters)
    torch.testing.assert_close(
        parameters[0].grad.norm(dim=1), torch.tensor([0.1 * math.sqrt(2.0), 0.001])
    )
    before, share = Clipping(norm=10.0)(gradients([3.0], [4.0]))
    assert (before, share) == (5.0, 0.0)
    with pytest.raises(InputError, match="positive"):
        Clipping(norm=0.0)


@pytest.mark.parametrize("name", ["cosine", "one_cycle"])
def test_schedules_equal_torchs(name):
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    total = 50
    if name == "cosine":
        theirs = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, total)
    else:
        theirs = torch.optim.lr_scheduler.OneCycleLR(
            optimizer, 1.0, total_steps=total, cycle_momentum=False
        )
    ours = with_warmup(name, 0)
    for step in range(total):
        assert ours(step, total) == pytest.approx(optimizer.param_groups[0]["lr"], abs=1e-7)
        optimizer.step()
        theirs.step()


def test_warmup_rises_and_plateau_halves():
    factor = with_warmup("constant", 3)
    assert [factor(k, 10) for k in range(5)] == [0.25, 0.5, 0.75, 1.0, 1.0]
    plateau = Plateau(patience=1)
    for loss, expected in [(1.0, 1.0), (1.1, 1.0), (1.2, 0.5), (0.9, 0.5), (2.0, 0.5), (2.0, 0.25)]:
        plateau.update(loss)
        assert plateau.factor == expected
    with pytest.raises(InputError, match="Did you mean 'cosine'"):
        with_warmup("cosin", 0)


def test_averaging_starts_by_the_non_monotonic_trigger_and_averages():
    p = nn.Parameter(torch.zeros(1))
    averaging = Averaging([p], patience=2)
    for loss in (3.0, 2.0, 2.5):  # 2.5 is worse than the last, but no earlier one counts yet
        averaging.note(loss)
        assert averaging.mean is None
    averaging.note(3.5)
    assert averaging.mean is not None
    for value in (3.0, 6.0):
        p.data.fill_(value)
        averaging.step()
    averaging.swap()
    assert p.item() == pytest.approx(3.0)  # mean of 0, 3, 6
    averaging.swap()
    assert p.item() == 6.0


def test_truncation_stops_the_gradient_and_carries_the_state():
    torch.manual_seed(0)
    lstm = nn.LSTM(1, 4)
    data = torch.randn(41, 1)
    states = []

    def loss(model, batch, state):
        inputs, _ = batch
        if state is not None:
            assert not any(s.requires_grad for s in state)
        states.append(state)
        output, state = model(inputs, state)
        return Loss(output.square().sum(), output.numel(), state)

    plan = Plan(max_epochs=2, learning_rate=1e-12, carry_state=True)
    train(lstm, StreamBatches(data, 2, 5), loss, plan)
    assert [s is None for s in states] == [True, False, False, False] * 2
    streams = data[:40].view(2, 20, 1).transpose(0, 1)
    _, expected = lstm(streams[:5])
    torch.testing.assert_close(states[1][1], expected[1])


class Wrapped:
    def __init__(self, h):
        self.h = h


class Named(NamedTuple):
    h: torch.Tensor


@pytest.mark.parametrize("wrap", [Wrapped, Named])
def test_a_state_that_could_not_be_carried_is_refused(wrap):
    def loss(model, batch, state):
        output, h = model(batch[0], None if state is None else state.h)
        return Loss(output.square().sum(), output.numel(), wrap(h))

    streams = StreamBatches(torch.randn(40, 1), 2, 5)
    with pytest.raises(InputError, match=f"nest of tuples.* got {wrap.__name__}"):
        train(nn.GRU(1, 4), streams, loss, Plan(carry_state=True))


def test_streams_are_contiguous_and_targets_follow_inputs():
    batches = list(StreamBatches(torch.arange(23), 2, 4).epoch(1, 0, 0, 1))
    inputs = torch.cat([b.batch[0] for b in batches])
    targets = torch.cat([b.batch[1] for b in batches])
    assert inputs[:, 0].tolist() == list(range(10))
    assert inputs[:, 1].tolist() == list(range(11, 21))
    assert torch.equal(targets, inputs + 1)
    with pytest.raises(InputError, match="less than two steps"):
        StreamBatches(torch.arange(3), 2, 4)
    with pytest.raises(InputError, match="in 0 streams"):
        StreamBatches(torch.arange(3), 0, 4)


def test_varied_chunks_cover_the_streams_and_scale_the_learning_rate():
    batches = StreamBatches(torch.arange(4 * 1001), 4, 20, varied=True, seed=3)
    assert len(batches) == round(1000 / 19.5)
    epochs = [list(batches.epoch(e, 0, 0, 1)) for e in (1, 1, 2)]
    for shares in epochs:
        assert len(shares) == len(batches)
        inputs = torch.cat([s.batch[0] for s in shares])
        assert torch.equal(inputs, batches.streams[:-1])
        assert torch.equal(torch.cat([s.batch[1] for s in shares]), inputs + 1)
        assert [s.rate for s in shares] == [len(s.batch[0]) / 20 for s in shares]
    lengths = [[len(s.batch[0]) for s in shares] for shares in epochs]
    assert lengths[0] == lengths[1] != lengths[2]
    assert 2.0 < np.std(lengths) < 8.0
    later = [len(s.batch[0]) for s in batches.epoch(2, 17, 0, 1)]
    assert later == lengths[2][17:]
    parts = [len(s.batch[0]) for s in batches.epoch(2, 0, 1, 2)]
    assert parts == lengths[2]


@pytest.mark.parametrize(("steps", "bptt"), [(2, 1), (2, 70), (9, 1), (9, 3), (80, 70)])
def test_varied_chunks_of_short_streams_have_a_step_at_least(steps, bptt):
    batches = StreamBatches(torch.arange(2 * steps), 2, bptt, varied=True)
    for epoch in range(20):
        lengths = [len(s.batch[0]) for s in batches.epoch(epoch, 0, 0, 1)]
        assert sum(lengths) == steps - 1
        assert min(lengths) >= 1
        assert len(lengths) == len(batches)


def test_a_batchs_rate_multiplies_the_learning_rate():
    class Uneven:
        def __len__(self):
            return 4

        def epoch(self, epoch, start, rank, world_size):
            for k in range(start, 4):
                yield Share(regression(), rate=(k + 1) / 2)

    for accumulate, expected in ((1, [0.5, 1.0, 1.5, 2.0]), (2, [0.75, 1.75])):
        plan = Plan(learning_rate=1e-3, accumulate=accumulate)
        history = train(linear(), Uneven(), squared_error, plan)
        rates = [record["learning_rate"] for record in history.steps]
        assert rates == pytest.approx([1e-3 * rate for rate in expected])


@pytest.mark.parametrize("world_size", [1, 2, 3, 5])
@pytest.mark.parametrize("max_batches", [None, 3])
def test_shares_of_all_processes_make_the_global_batches(world_size, max_batches):
    batches = ShuffledBatches(43, 7, lambda i: i, seed=1, max_batches=max_batches)
    whole = [s.batch.tolist() for s in batches.epoch(2, 0, 0, 1)]
    assert len(whole) == len(batches) == (max_batches or 7)
    flat = [i for batch in whole for i in batch]
    assert len(set(flat)) == len(flat) == (21 if max_batches else 43)
    parts = [list(batches.epoch(2, 0, rank, world_size)) for rank in range(world_size)]
    for number, expected in enumerate(whole):
        found = [i for p in parts if p[number].counts for i in p[number].batch.tolist()]
        assert sorted(found) == sorted(expected)
    later = [s.batch.tolist() for s in batches.epoch(2, 2, 0, 1)]
    assert later == whole[2:]
    assert [s.batch.tolist() for s in batches.epoch(3, 0, 0, 1)] != whole


@pytest.mark.parametrize("world_size", [1, 3])
def test_buckets_hold_every_sequence_once_beside_those_of_its_length(world_size):
    lengths = torch.from_numpy(np.random.default_rng(0).integers(0, 200, 1003))
    batches = BucketedBatches(lengths, 8, lambda i: i, seed=1)
    whole = [s.batch for s in batches.epoch(2, 0, 0, 1)]
    assert len(whole) == len(batches) == 126
    assert len(whole[-1]) == 1003 % 8
    assert sorted(torch.cat(whole).tolist()) == list(range(1003))
    padded = sum(int(lengths[batch].max()) * len(batch) for batch in whole)
    assert padded < 1.1 * int(lengths.sum())
    means = [float(lengths[batch].float().mean()) for batch in whole]
    assert means != sorted(means)
    parts = [list(batches.epoch(2, 0, rank, world_size)) for rank in range(world_size)]
    for number, expected in enumerate(whole):
        found = [i for p in parts if p[number].counts for i in p[number].batch.tolist()]
        assert sorted(found) == sorted(expected.tolist())
    assert [s.batch.tolist() for s in batches.epoch(2, 3, 0, 1)] == [b.tolist() for b in whole[3:]]
    assert [s.batch.tolist() for s in batches.epoch(3, 0, 0, 1)] != [b.tolist() for b in whole]
    still = BucketedBatches(lengths, 8, lambda i: i, shuffle=False)
    order = torch.cat([s.batch for s in still.epoch(0, 0, 0, 1)])
    assert lengths[order].tolist() == sorted(lengths.tolist(), reverse=True)


def test_a_small_epoch_of_a_huge_set_is_cheap():
    batches = ShuffledBatches(10**12, 8, lambda i: i, max_batches=2)
    drawn = torch.cat([s.batch for s in batches.epoch(1, 0, 0, 1)])
    assert len(set(drawn.tolist())) == 16


@pytest.mark.parametrize("poison", [math.nan, math.inf, 1e30])
def test_divergence_stops_with_what_to_do_and_keeps_the_checkpoint(poison, tmp_path):
    model = linear()
    calls = []

    def loss(model, batch, state):
        calls.append(1)
        result = squared_error(model, batch, state)
        return Loss(result.total * (poison if len(calls) == 4 else 1.0), result.weight)

    plan = Plan(max_epochs=5)
    with pytest.raises(TrainingDivergedError, match=r"step 4.*weight.*lower learning rate") as e:
        train(model, source(), loss, plan, checkpoint_dir=tmp_path, checkpoint_every=3)
    assert "bias" in str(e.value)
    assert all(p.isfinite().all() for p in model.parameters())
    assert torch.load(tmp_path / "checkpoint.pt", weights_only=True)["step"] == 3
    assert [p.name for p in tmp_path.iterdir()] == ["checkpoint.pt"]


def test_a_validation_of_nan_stops_it_and_keeps_the_checkpoint(tmp_path):
    def loss(model, batch, state):
        result = squared_error(model, batch, state)
        spoilt = not model.training and calls.append(1) is None and len(calls) > 4
        return result._replace(total=result.total * (math.nan if spoilt else 1.0))

    calls = []  # of the validation, four an epoch
    with pytest.raises(TrainingDivergedError, match=r"After epoch 2 \(step 8\).*validation part"):
        train(
            linear(),
            source(),
            loss,
            Plan(max_epochs=3),
            validation=source(),
            checkpoint_dir=tmp_path,
        )
    assert torch.load(tmp_path / "checkpoint.pt", weights_only=True)["step"] == 4


@pytest.mark.parametrize("given", [{"resume": True}, {"checkpoint_every": 3}])
def test_what_needs_checkpoints_is_refused_without_a_place_for_them(given, tmp_path):
    with pytest.raises(InputError, match="need `checkpoint_dir`"):
        train(linear(), source(), squared_error, Plan(), **given)
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"is a file\. Name a directory"):
        train(linear(), source(), squared_error, Plan(), checkpoint_dir=tmp_path / "file")


def test_checkpoint_of_other_settings_or_damaged_is_refused(tmp_path):
    run = {"checkpoint_dir": tmp_path, "resume": True}
    train(linear(), source(), squared_error, Plan(), **run)
    with pytest.raises(CheckpointError, match=r"learning_rate: '0.001' then, '0.5' now"):
        train(linear(), source(), squared_error, Plan(learning_rate=0.5), **run)
    with pytest.raises(CheckpointError, match="horizon: None then, 3 now"):
        train(linear(), source(), squared_error, Plan(), settings={"horizon": 3}, **run)
    whole = (tmp_path / "checkpoint.pt").read_bytes()
    for damaged in (whole[: len(whole) // 2], b"", np.random.default_rng(0).bytes(500)):
        (tmp_path / "checkpoint.pt").write_bytes(damaged)
        with pytest.raises(CheckpointError, match="cannot be read"):
            train(linear(), source(), squared_error, Plan(), **run)


def test_a_checkpoint_that_runs_code_is_refused(tmp_path):
    marker = tmp_path / "executed"

    class Hostile:
        def __reduce__(self):
            return (marker.write_text, ("x",))

    torch.save({"settings": Hostile()}, tmp_path / "checkpoint.pt")
    with pytest.raises(CheckpointError):
        train(linear(), source(), squared_error, Plan(), checkpoint_dir=tmp_path, resume=True)
    assert not marker.exists()


def test_a_failed_write_leaves_the_old_checkpoint(tmp_path, monkeypatch):
    train(linear(), source(), squared_error, Plan(), checkpoint_dir=tmp_path)
    before = (tmp_path / "checkpoint.pt").read_bytes()

    def fail(state, file):
        file.write(b"half")
        raise OSError("disk full")

    monkeypatch.setattr(torch, "save", fail)
    with pytest.raises(OSError, match="disk full"):
        train(linear(), source(), squared_error, Plan(), checkpoint_dir=tmp_path)
    assert (tmp_path / "checkpoint.pt").read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["checkpoint.pt"]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # inside tensorboard
def test_logs_hold_every_step(tmp_path):
    loggers = [JsonLinesLogger(tmp_path / "log.jsonl"), TensorBoardLogger(tmp_path / "events")]
    plan = Plan(max_epochs=2, bfloat16=True, clipping=Clipping(norm=0.1))
    history = train(
        linear(), source(), squared_error, plan, validation=source(shuffle=False), loggers=loggers
    )
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [r for r in lines if "loss" in r] == history.steps
    assert [r for r in lines if "train_loss" in r] == history.epochs
    assert 0.0 < history.steps[0]["clipped"] < 1.0
    assert list((tmp_path / "events").iterdir())


def test_a_log_that_was_taken_away_is_begun_anew(tmp_path):
    logger = JsonLinesLogger(tmp_path / "log.jsonl")
    run = {"checkpoint_dir": tmp_path, "checkpoint_every": 3, "loggers": [logger]}
    calls = []

    def loss(model, batch, state):
        calls.append(1)
        if len(calls) == 6:
            raise KeyboardInterrupt
        return squared_error(model, batch, state)

    with pytest.raises(KeyboardInterrupt):
        train(linear(), source(), loss, Plan(max_epochs=2), **run)
    logger.path.unlink()
    train(linear(), source(), squared_error, Plan(max_epochs=2), resume=True, **run)
    lines = [json.loads(line) for line in logger.path.read_text().splitlines()]
    assert [r["step"] for r in lines if "loss" in r] == [5, 6, 7, 8]


@pytest.mark.parametrize(
    "bad",
    [
        {"max_epochs": 0},
        {"max_epochs": 1.5},  # would never end
        {"max_steps": 2.5},
        {"accumulate": 2.5},
        {"warmup_steps": -1},
        {"patience": 1},
        {"schedule": "plateau"},
        {"clipping": None},
        {"clipping": 1.0},
    ],
    ids=str,
)
def test_plans_that_cannot_be_followed(bad):
    with pytest.raises(InputError):
        train(linear(), source(), squared_error, Plan(**bad))


@pytest.mark.parametrize("bad", [{"checkpoint_every": -1}, {"flow_every": 1.5}, {"flow_every": -1}])
def test_intervals_that_cannot_be(bad, tmp_path):
    with pytest.raises(InputError, match="whole number, at least 0"):
        train(linear(), source(), squared_error, Plan(), checkpoint_dir=tmp_path, **bad)


class Nothing:
    def __len__(self):
        return 0

    def epoch(self, *place):
        return iter(())


def test_without_batches_or_parameters_it_says_so():
    with pytest.raises(InputError, match="`batches` must have at least one batch"):
        train(linear(), Nothing(), squared_error, Plan())
    with pytest.raises(InputError, match="`validation` must have at least one batch"):
        train(linear(), source(), squared_error, Plan(), validation=Nothing())
    with pytest.raises(InputError, match="nothing to train"):
        train(linear().requires_grad_(False), source(), squared_error, Plan())
