"""`inspect` of every kind of model, against what is computed by other ways."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from tests.insight import inspected
from tests.insight.inspected import ALL, TEXT, hours, waves

from longspan import Classifier
from longspan.errors import InputError
from longspan.insight import (
    autocorrelation_lag,
    inspect,
    inspect_module,
    integrated_gradients,
)
from longspan.insight.examine import common_lags, contexts_up_to, examine
from longspan.nn import GRU, LSTM, RNN
from longspan.tasks.inspection import Look, subject_of

LOOK = Look(rows=3, steps=20, seed=1)


def of(name, **more):
    model, data, reading = ALL[name]()
    return inspect(model, data, **({"rows": 3, "steps": 20, "seed": 1} | more), **reading)


@pytest.fixture(scope="module", params=ALL)
def both(request):
    model, data, reading = ALL[request.param]()
    subject = subject_of(model, data, LOOK, **reading)
    return subject, examine(subject, LOOK, type(model).__name__)


def test_the_influence_is_the_whole_jacobians(both):
    subject, found = both
    x = subject.inputs()
    whole = torch.autograd.functional.jacobian(subject.run, x)  # (B, K, T, B, I)
    lags = np.full((x.shape[1], len(found.horizon.lags)), np.nan)
    for row, at in enumerate(subject.focus.tolist()):
        own = whole[row, :, :, row].square().sum((0, 2)).sqrt()
        lags[row, : at + 1] = own[: at + 1].flip(0)
    np.testing.assert_allclose(found.horizon.influence, np.nanmean(lags, 0), rtol=1e-4, atol=1e-7)
    assert found.probes == 0
    assert (found.ahead is None) == (subject.after is None)


def test_what_lies_ahead_is_the_whole_jacobians_too():
    model, data, reading = ALL["tagger"]()
    subject = subject_of(model, data, LOOK, **reading)
    found = examine(subject, LOOK, "Tagger")
    whole = torch.autograd.functional.jacobian(subject.run, subject.inputs())
    expected = [
        whole[row, :, int(at) + 1, row].norm()
        for row, (at, length) in enumerate(zip(subject.focus, subject.lengths, strict=True))
        if at + 1 < length
    ]
    assert 1 <= len(expected) < 3  # in some rows there is nothing ahead, which is not 0
    assert found.ahead.influence[1] == pytest.approx(float(np.mean(expected)), rel=1e-4)


def test_with_all_context_the_loss_is_the_whole_one(both):
    subject, found = both
    with torch.no_grad():
        full = subject.losses(subject.more)
    own = found.ablation
    assert own.contexts.tolist() == contexts_up_to(subject.longest)
    assert own.losses[-1] == float(full.double().mean())
    assert own.low[-1] == own.high[-1] == own.losses[-1]
    for k in (0, 1):
        cut = subject.losses(subject.cut(subject.more, int(own.contexts[k]))).detach()
        assert own.losses[k] == pytest.approx(float(cut.double().mean()), rel=1e-5)
    rows = subject.losses(subject.batch).detach()
    assert found.loss == pytest.approx(float(rows.mean()), rel=1e-5)


def test_gradients_are_those_of_each_rows_loss(both):
    subject, found = both
    parameters = dict(subject.network.named_parameters())
    subject.network.zero_grad(set_to_none=True)  # of training
    subject.losses(subject.batch).sum().backward()
    names = [each.name for each in found.flow.parameters]
    assert any("weight_hh" in name for name in names)
    for each in found.flow.parameters:
        gradient = parameters[each.name].grad
        assert each.norm == pytest.approx(
            0.0 if gradient is None else float(gradient.norm()), rel=1e-3, abs=1e-7
        )
    subject.network.zero_grad(set_to_none=True)
    for layer in found.flow.layers:
        assert np.isfinite(layer.norms).all()
        assert layer.norms[0] > 0


def test_attributions_add_up(both):
    subject, found = both
    for each, explained in zip(found.attributions, subject.explained, strict=True):
        difference = each.output - each.baseline_output
        assert each.shown.sum() == pytest.approx(difference, abs=0.02 * abs(difference) + 1e-4)
        assert each.output == pytest.approx(
            float(explained.run(explained.inputs).detach()[0]), abs=1e-5
        )
        assert each.gap < 0.05
        assert each.offsets[0] <= 0 <= each.offsets[-1]
        assert len(each.names) == len(each.shown)
        if each.channels:
            np.testing.assert_allclose(each.table.sum(0), each.by_offset, rtol=1e-6)
            assert each.table.shape == (len(each.channels), len(each.offsets))
        else:
            assert each.by_channel.size == each.table.size == 0


def test_attributions_by_offset_are_means_over_the_rows_that_reach_there():
    model, data, reading = ALL["classifier"]()
    subject = subject_of(model, data, LOOK, **reading)
    found = examine(subject, LOOK, "Classifier").attributions[0]
    explained = subject.explained[0]
    values = np.abs(integrated_gradients(explained.run, explained.inputs, steps=32).values)
    lengths = subject.lengths.tolist()
    assert len(set(lengths)) > 1
    for place, offset in enumerate(found.offsets):
        own = [values[n - 1 + offset, row] for row, n in enumerate(lengths) if n - 1 + offset >= 0]
        np.testing.assert_allclose(found.table[:, place], np.mean(own, 0), rtol=1e-5)


def test_gates_and_states_are_those_of_the_layers(both):
    subject, found = both
    layer = subject.reader
    name = next(n for n, module in subject.network.named_modules() if module is layer)
    shown = next(t for t in found.trajectories if t.layer.startswith(name))
    assert shown.layer.endswith("layer 0")
    x = subject.inputs()[:, :1]
    kept = shown.values
    assert set(kept) >= set(layer.cell.states)
    assert all(v.shape == (int(subject.lengths[0]), len(shown.units)) for v in kept.values())
    if "forecaster" in found.model.lower() or found.kind == "series":
        gates = [g for g in found.gates if g.layer == shown.layer]
        assert {g.gate for g in gates} == set(layer.cell.gates)
    if not layer.bidirectional and not hasattr(subject.batch, "pairs"):
        given = x.transpose(0, 1) if layer.batch_first else x
        output = layer(given, lengths=subject.lengths[:1].tolist())[0].flatten(0, 1)
        own = output[: int(subject.lengths[0])][:, shown.units].detach()
        if layer.num_layers == 1:
            np.testing.assert_allclose(shown.values["h"], own, atol=1e-4)


def test_it_becomes_json_and_a_page(both):
    _, found = both
    values = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert values["horizon"]["horizon"] == found.horizon.horizon
    assert len(values["flow"]["layers"]) == len(found.flow.layers)
    assert found.title in found.html()


@pytest.mark.parametrize("name", ["forecaster", "tagger", "language model"])
def test_the_seed_says_all(name):
    first, again, other = (of(name, seed=seed).to_dict() for seed in (1, 1, 2))
    assert first == again
    assert first["horizon"] != other["horizon"]


def test_the_model_is_left_as_it_was():
    model = inspected.language()
    network = model.engine_.network
    network.encoder.embedding.weight.requires_grad_(False)
    network.zero_grad(set_to_none=True)  # of training
    before = {name: value.clone() for name, value in network.state_dict().items()}
    state = torch.get_rng_state()
    of("language model")
    assert torch.equal(state, torch.get_rng_state())
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())
    wanted = {name for name, p in network.named_parameters() if p.requires_grad}
    assert wanted == set(dict(network.named_parameters())) - {"encoder.embedding.weight"}
    assert all(p.grad is None for p in network.parameters())
    network.encoder.embedding.weight.requires_grad_(True)
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in network.modules())


def test_one_row_of_one_step():
    model = Classifier(hidden_size=4, max_epochs=2).fit([[1.0], [2.0]] * 4, ["a", "b"] * 4)
    found = inspect(model, [[1.0]], labels=["a"], rows=1)
    assert found.ablation is None
    assert found.horizon.lags.tolist() == [0]
    assert np.isnan(found.horizon.horizon_low)
    assert found.to_dict()["horizon"]["horizon_low"] is None
    assert "within a lag of 0 steps" in found.html()


def test_a_large_vocabulary_is_estimated(monkeypatch):
    exact = of("language model")
    monkeypatch.setattr("longspan.insight.examine.BUDGET", 0.0)
    count = len(inspected.language().codec_.symbols)
    monkeypatch.setattr("longspan.insight.examine.PROBES", count - 1)
    found = of("language model")
    assert exact.probes == 0
    assert found.probes == count - 1
    near = slice(0, 4)
    np.testing.assert_allclose(
        found.horizon.influence[near], exact.horizon.influence[near], rtol=0.5
    )
    assert "estimated by" in found.html()


def test_no_more_outputs_than_probes_are_exact(monkeypatch):
    torch.manual_seed(0)
    layer, x = GRU(3, 5), torch.randn(8, 2, 3)
    exact = inspect_module(layer, x)
    monkeypatch.setattr("longspan.insight.examine.BUDGET", 0.0)
    monkeypatch.setattr("longspan.insight.examine.PROBES", 5)
    found = inspect_module(layer, x)
    assert found.probes == 0
    np.testing.assert_array_equal(found.horizon.influence, exact.horizon.influence)
    monkeypatch.setattr("longspan.insight.examine.PROBES", 4)
    assert inspect_module(layer, x).probes == 4


def test_advice_knows_the_data_and_the_training():
    found = of("forecaster, without season")
    values = hours()["y"].to_numpy().astype(np.float32)[:, None, None]
    assert found.data_lag == autocorrelation_lag(values) > 0
    told = of("forecaster")  # of a season of 6: what lies further back than half of it is an input
    assert told.data_lag == autocorrelation_lag(values, max_lag=3)
    assert of("language model").data_lag is None
    model, data, reading = ALL["language model"]()
    subject = replace(subject_of(model, data, LOOK, **reading), bptt_length=1)
    kinds = [each.kind for each in examine(subject, LOOK, "LanguageModel").advice]
    assert "vanishing" not in kinds  # beyond one step training saw nothing anyway
    longer = replace(subject, bptt_length=None)
    assert "vanishing" in [each.kind for each in examine(longer, LOOK, "LanguageModel").advice]


def test_advice_does_not_judge_by_a_few_long_rows():
    flow = of("language model").flow
    norms, rows = np.array([1.0, 1.0, 1e-9, 1e-9]), np.array([4, 3, 2, 1])
    ragged = replace(flow, layers=(replace(flow.layers[0], norms=norms, rows=rows),))
    assert common_lags(ragged).layers[0].norms.tolist() == [1.0, 1.0, 1e-9]
    even = replace(flow, layers=(replace(flow.layers[0], norms=norms, rows=np.full(4, 3)),))
    assert common_lags(even).layers[0].norms.tolist() == norms.tolist()


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"rows": 0}, "`rows` must be a whole number from 1 on, got 0"),
        ({"steps": 1.5}, "`steps` must be a whole number"),
        ({"seed": -1}, "`seed` must be a whole number from 0 on"),
        ({"sequence": -1}, "`sequence` must lie between 0"),
    ],
)
def test_bad_arguments_are_refused(more, message):
    with pytest.raises(InputError, match=message):
        of("language model", **more)


def test_models_that_are_not_fitted_are_refused():
    from sklearn.exceptions import NotFittedError

    from longspan import LanguageModel

    with pytest.raises(NotFittedError):
        inspect(LanguageModel(), TEXT)


def test_contexts_rise_to_the_longest():
    assert contexts_up_to(2) == [1, 2]
    assert contexts_up_to(100)[-3:] == [64, 96, 100]


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm = LSTM(3, 5, num_layers=2, batch_first=True)
        self.out = torch.nn.Linear(5, 2)

    def forward(self, x):
        return self.out(self.lstm(x.transpose(0, 1))[0]).transpose(0, 1)


def test_any_module_can_be_inspected():
    torch.manual_seed(0)
    network, x = Net().train(), torch.randn(12, 4, 3)
    found = inspect_module(network, x, loss=lambda y: y[:, 0], title="mine", channels="abc")
    assert network.training
    jacobian = torch.autograd.functional.jacobian(lambda v: network(v)[-1], x)
    expected = [jacobian[b, :, :, b].square().sum((0, 2)).sqrt().flip(0) for b in range(4)]
    np.testing.assert_allclose(found.horizon.influence, torch.stack(expected).mean(0), rtol=1e-4)
    for context, loss in zip(found.ablation.contexts, found.ablation.losses, strict=True):
        expected = network(x[-context:])[-1, :, 0].mean().detach()
        assert loss == pytest.approx(float(expected), abs=1e-6)
    assert found.attributions[0].channels == ("a", "b", "c")
    assert found.title == "mine"
    assert found.model == "Net"


def test_a_layer_with_ragged_rows_can_be_inspected():
    torch.manual_seed(0)
    layer, x = RNN(2, 4, bidirectional=True, batch_first=True).double(), torch.randn(6, 3, 2)
    x = x.double()
    x[3:, 1] = torch.nan
    found = inspect_module(layer, x, lengths=[6, 3, 1])
    expected = torch.autograd.functional.jacobian(lambda v: layer(v)[0][0, -1], x[:3, 1][None])
    own = expected[:, 0].square().sum((0, 2)).sqrt().flip(0)
    short = inspect_module(layer, x[:3, [1]])
    np.testing.assert_allclose(short.horizon.influence, own, rtol=1e-9)
    assert len(found.horizon.lags) == 6
    assert np.isfinite(found.horizon.influence).all()


class Shortened(torch.nn.Module):
    """A convolution that halves time, before the recurrent layer."""

    def __init__(self, whole=False):
        super().__init__()
        self.after = GRU(5, 5)  # registered first, runs second
        self.front, self.lstm = torch.nn.Conv1d(3, 4, 3, stride=2), LSTM(4, 5)
        self.whole = whole

    def below(self, x):
        return self.front(x.permute(1, 2, 0)).permute(2, 0, 1)

    def above(self, z, lengths=None):
        output = self.after(self.lstm(z, lengths=lengths)[0], lengths=lengths)[0]
        return output if self.whole else output[-1]

    def forward(self, x):
        return self.above(self.below(x))


@pytest.mark.parametrize("whole", [False, True])
def test_a_module_may_shorten_time_before_its_recurrent_layer(whole):
    torch.manual_seed(0)
    network, x = Shortened(whole).eval(), torch.randn(20, 4, 3)
    found = inspect_module(network, x)
    z = network.below(x).detach()
    assert len(z) == 9
    last = (lambda v: network.above(v)[-1]) if whole else network.above
    jacobian = torch.autograd.functional.jacobian(last, z)
    expected = [jacobian[b, :, :, b].square().sum((0, 2)).sqrt().flip(0) for b in range(4)]
    np.testing.assert_allclose(found.horizon.influence, torch.stack(expected).mean(0), rtol=1e-4)
    assert found.ablation.contexts.tolist() == contexts_up_to(9)
    for context, loss in zip(found.ablation.contexts, found.ablation.losses, strict=True):
        own = 0.5 * last(z[-context:]).square().sum(1).mean().detach()
        assert loss == pytest.approx(float(own), rel=1e-5)
    assert found.trajectories[0].names == tuple(str(k) for k in range(9))
    assert len(found.attributions[0].shown) == 20
    assert "reads 9 steps where the inputs have 20" in found.notes[0]
    assert found.notes[0] in found.html()
    assert inspect_module(Net(), torch.randn(5, 2, 3)).notes == ()


def test_shortened_rows_of_different_lengths_need_their_own_lengths():
    torch.manual_seed(0)
    network, x = Shortened(True).eval(), torch.randn(20, 3, 3)
    lengths = torch.tensor([20, 7, 12])

    def call(x, lengths):
        return network.above(network.below(x), (lengths - 1) // 2)

    found = inspect_module(network, x, call=call, lengths=lengths)
    assert len(found.horizon.lags) == 9
    z = network.below(x).detach()[:3, [1]]  # 3 of its steps are of the row of 7 alone
    alone = inspect_module(torch.nn.Sequential(Above(network)), z)
    own = inspect_module(network, x[:, [1]], call=call, lengths=lengths[[1]])
    np.testing.assert_allclose(own.horizon.influence, alone.horizon.influence, rtol=1e-4)
    assert own.loss == pytest.approx(alone.loss, rel=1e-5)
    with pytest.raises(InputError, match="reads 9 steps where `x` has 20, and is not told"):
        inspect_module(network, x, call=lambda x, _: network(x), lengths=lengths)


class Above(torch.nn.Module):
    def __init__(self, network):
        super().__init__()
        self.network = network

    def forward(self, z):
        return self.network.above(z)


class Stepping(torch.nn.Module):
    """A network that steps its recurrent layer by itself."""

    def __init__(self):
        super().__init__()
        self.lstm = LSTM(3, 4)

    def forward(self, x):
        state, output = None, x
        for step in x:
            output, state = self.lstm(step[None], state)
        return output[-1]


class Pairs(torch.nn.Module):
    """A network whose recurrent layer reads two rows as one."""

    def __init__(self):
        super().__init__()
        self.lstm = LSTM(6, 4)

    def forward(self, x):
        output = self.lstm(torch.cat(x.chunk(2, 1), -1))[0]
        return output.repeat(1, 2, 1)


class Twice(torch.nn.Module):
    """A network that runs one layer twice over all steps."""

    def __init__(self):
        super().__init__()
        self.gru = GRU(3, 3)

    def forward(self, x):
        return self.gru(self.gru(x)[0])[0]


def test_the_influence_through_a_layer_that_runs_twice_is_that_on_its_first_inputs():
    torch.manual_seed(0)
    network, x = Twice(), torch.randn(7, 2, 3)
    jacobian = torch.autograd.functional.jacobian(lambda v: network(v)[-1], x)
    expected = [jacobian[b, :, :, b].square().sum((0, 2)).sqrt().flip(0) for b in range(2)]
    found = inspect_module(network, x).horizon
    np.testing.assert_allclose(found.influence, torch.stack(expected).mean(0), rtol=1e-4)


def test_every_part_of_a_module_keeps_its_mode():
    network = torch.nn.Sequential(torch.nn.LayerNorm(3), torch.nn.Dropout(), Net())
    network.train()
    network[0].eval()
    network[2].lstm.eval()
    before = {name: module.training for name, module in network.named_modules()}
    assert inspect_module(network, torch.randn(4, 2, 3)).loss > 0
    assert {name: module.training for name, module in network.named_modules()} == before
    with pytest.raises(InputError):
        inspect_module(network, torch.randn(4, 2, 3), call=lambda x, _: x[0, 0])
    assert {name: module.training for name, module in network.named_modules()} == before


@pytest.mark.parametrize(
    ("network", "x", "more", "message"),
    [
        (torch.nn.Linear(2, 2), torch.zeros(3, 1, 2), {}, "must hold a recurrent layer"),
        (GRU(2, 3), torch.zeros(3, 2), {}, "`x` must be floating"),
        (GRU(2, 3), torch.zeros(3, 1, 2, dtype=torch.int64), {}, "`x` must be floating"),
        (GRU(2, 3), torch.zeros(0, 1, 2), {}, "`x` must be floating"),
        (GRU(2, 3), torch.zeros(3, 1, 2), {"lengths": [0]}, "`lengths` must be 1 numbers"),
        (GRU(2, 3), torch.zeros(3, 1, 2), {"lengths": [3, 3]}, "`lengths` must be"),
        (GRU(2, 3), torch.zeros(3, 1, 2), {"channels": ["a"]}, "`channels` must be 2 names"),
        (Net(), torch.zeros(3, 1, 3), {"lengths": [2]}, "needs `call`"),
        (GRU(2, 3), torch.zeros(3, 1, 2), {"call": lambda x, _: x[0, 0]}, "`call` must return"),
        (Net(), torch.zeros(9, 1, 3), {"call": lambda x, _: Net()(x)}, "was not called"),
        (Stepping(), torch.zeros(9, 1, 3), {}, "'lstm' is called 9 times"),
        (Pairs(), torch.zeros(3, 4, 3), {}, "No recurrent layer runs over the 4 rows"),
    ],
)
def test_modules_that_cannot_be_inspected_are_refused(network, x, more, message):
    with pytest.raises(InputError, match=message):
        inspect_module(network, x, **more)


def test_the_forecasters_own_rows_suffice():
    found = inspect(inspected.forecaster(), rows=2)
    assert found.facts["rows"] == 2
    assert found.to_dict() != inspect(inspected.forecaster(), hours(), rows=2).to_dict()
    assert waves()[1][0] == "slow"
