"""The options do what their papers say: equations, special cases, statistics, initial values."""

from __future__ import annotations

import copy
import math

import numpy as np
import pytest
import torch
from torch import nn

from longspan.errors import InputError
from longspan.nn import GRU, LSTM, RNN, init, weight_drop, weight_norm

T, B, I, H = 5, 3, 2, 4


def sigmoid(a):
    return 1.0 / (1.0 + np.exp(-a))


def normed(a, weight):
    centred = a - a.mean(-1, keepdims=True)
    return weight[0] * centred / np.sqrt(a.var(-1, keepdims=True) + 1e-5) + weight[1]


def numpy_lstm(x, w, *, peephole, coupled, norm):
    """Ba et al. (2016) equations 20 to 22, with the peepholes of Gers et al. (2002)."""
    h, c, outputs = np.zeros((B, H)), np.zeros((B, H)), []
    names = "fgo" if coupled else "ifgo"
    peephole_names = [n for n in names if n != "g"]
    parts = np.split(w.get("weight_ch_l0", np.zeros(len(peephole_names) * H)), len(peephole_names))
    peepholes = dict(zip(peephole_names, parts, strict=True))
    for step in x:
        a, b = step @ w["weight_ih_l0"].T, h @ w["weight_hh_l0"].T
        if norm:
            a, b = normed(a, w["norm_ih_l0"]), normed(b, w["norm_hh_l0"])
        raw = dict(zip(names, np.split(
            a + b + w["bias_ih_l0"] + w["bias_hh_l0"], len(names), -1), strict=True))  # fmt: skip
        f = sigmoid(raw["f"] + peepholes["f"] * c)
        i = 1 - f if coupled else sigmoid(raw["i"] + peepholes["i"] * c)
        c = f * c + i * np.tanh(raw["g"])
        o = sigmoid(raw["o"] + peepholes["o"] * c)
        h = o * np.tanh(normed(c, w["norm_c_l0"]) if norm else c)
        outputs.append(h)
    return np.stack(outputs)


@pytest.mark.parametrize("peephole", [False, True])
@pytest.mark.parametrize("coupled", [False, True])
@pytest.mark.parametrize("norm", [False, True])
def test_lstm_follows_the_papers_equations(peephole, coupled, norm):
    torch.manual_seed(0)
    lstm = LSTM(I, H, peephole=peephole, coupled_gates=coupled, layer_norm=norm).double()
    for p in lstm.parameters():
        nn.init.normal_(p)
    x = torch.randn(T, B, I, dtype=torch.float64)
    weights = {name: p.detach().numpy() for name, p in lstm.named_parameters()}
    expected = numpy_lstm(x.numpy(), weights, peephole=peephole, coupled=coupled, norm=norm)
    np.testing.assert_allclose(lstm(x)[0].detach().numpy(), expected, rtol=1e-10)


def test_gru_reset_before_follows_cho():
    torch.manual_seed(0)
    gru = GRU(I, H, reset_after=False).double()
    x = torch.randn(T, B, I, dtype=torch.float64)
    w = {name: p.detach().numpy() for name, p in gru.named_parameters()}
    u_r, u_z, u_n = np.split(w["weight_hh_l0"], 3)
    bias = w["bias_ih_l0"] + w["bias_hh_l0"]
    h = np.zeros((B, H))
    for step, output in zip(x.numpy(), gru(x)[0].detach().numpy(), strict=True):
        x_r, x_z, x_n = np.split(step @ w["weight_ih_l0"].T + bias, 3, -1)
        r, z = sigmoid(x_r + h @ u_r.T), sigmoid(x_z + h @ u_z.T)
        h = (1 - z) * np.tanh(x_n + (r * h) @ u_n.T) + z * h
        np.testing.assert_allclose(output, h, rtol=1e-10)


LEFT_OUT = ["input_gate", "forget_gate", "output_gate", "input_activation", "output_activation"]


@pytest.mark.parametrize("option", LEFT_OUT)
def test_leaving_a_part_out_changes_one_thing(option):
    """A gate with a huge bias is open, so leaving it out must be the limit of that."""
    torch.manual_seed(0)
    x = torch.randn(T, B, I, dtype=torch.float64)
    without = LSTM(I, H, **{option: False}).double()
    full = LSTM(I, H).double()
    if option.endswith("gate"):
        place = "ifo".index(option[0])
        place += place == 2
        rows = [k for k in range(4 * H) if k // H != place]
        with torch.no_grad():
            for name, p in without.named_parameters():
                getattr(full, name)[rows] = p
            full.weight_ih_l0.view(4, H, I)[place] = 0.0
            full.weight_hh_l0.view(4, H, H)[place] = 0.0
            full.bias_ih_l0.view(4, H)[place] = 100.0
        torch.testing.assert_close(without(x)[0], full(x)[0])
    else:
        full.load_state_dict(without.state_dict())
        assert not torch.allclose(without(x)[0], full(x)[0])
        small = 1e-4 * x  # tanh(a) ≈ a
        with torch.no_grad():
            for p in (*without.parameters(), *full.parameters()):
                p.mul_(1e-2)
        torch.testing.assert_close(without(small)[0], full(small)[0], rtol=1e-4, atol=1e-10)


@pytest.mark.parametrize("option", ["peephole", "full_gate_recurrence"])
def test_zero_extra_weights_give_the_plain_cell(option):
    torch.manual_seed(0)
    x = torch.randn(T, B, I)
    extended, plain = LSTM(I, H, **{option: True}), LSTM(I, H)
    extra = "weight_ch_l0" if option == "peephole" else "weight_gg_l0"
    plain.load_state_dict({k: v for k, v in extended.state_dict().items() if k != extra})
    assert not torch.allclose(extended(x)[0], plain(x)[0])
    with torch.no_grad():
        getattr(extended, extra).zero_()
    torch.testing.assert_close(extended(x)[0], plain(x)[0])


@pytest.mark.parametrize("layer", [LSTM, GRU, RNN])
def test_zoneout_keeps_units_and_evaluates_to_the_expectation(layer):
    torch.manual_seed(0)
    cell = layer(I, H, zoneout=0.4).double()
    x = torch.randn(1, 20000, I, dtype=torch.float64)[:, :1].expand(1, 20000, I)
    hx = torch.randn(1, 1, H, dtype=torch.float64).expand(1, 20000, H).contiguous()
    state = (hx, hx) if layer is LSTM else hx
    drawn = cell(x, state)[0]
    kept = (drawn == hx).double().mean()
    assert abs(kept - 0.4) < 0.01
    mean = cell.eval()(x[:, :1], tuple(s[:, :1] for s in state) if layer is LSTM else hx[:, :1])[0]
    torch.testing.assert_close(drawn.mean(1, keepdim=True), mean, atol=0.02, rtol=0)


def test_zoneout_follows_krueger():
    """Section 3.3: h' takes the cell state as it was proposed, whichever units c' then keeps."""
    torch.manual_seed(0)
    lstm = LSTM(I, H, zoneout=(0.2, 0.4)).double().eval()
    x = torch.randn(T, B, I, dtype=torch.float64)
    w = {name: p.detach().numpy() for name, p in lstm.named_parameters()}
    h, c = np.zeros((B, H)), np.zeros((B, H))
    for step, output in zip(x.numpy(), lstm(x)[0].detach().numpy(), strict=True):
        a = step @ w["weight_ih_l0"].T + h @ w["weight_hh_l0"].T
        i, f, g, o = np.split(a + w["bias_ih_l0"] + w["bias_hh_l0"], 4, -1)
        proposed = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        c = 0.2 * c + 0.8 * proposed
        h = 0.4 * h + 0.6 * sigmoid(o) * np.tanh(proposed)
        np.testing.assert_allclose(output, h, rtol=1e-10)


def test_recurrent_dropout_mask_is_constant_over_time():
    torch.manual_seed(0)
    rnn = RNN(H, H, nonlinearity="relu", recurrent_dropout=0.5, bias=False)
    with torch.no_grad():
        rnn.weight_ih_l0.copy_(torch.eye(H))
        rnn.weight_hh_l0.copy_(torch.eye(H))
    output = rnn(torch.ones(4, 50, H))[0]  # h[t] = 1 + m·h[t-1] with m in {0, 2}
    alive = output[1] == 3.0
    assert 0.3 < alive.float().mean() < 0.7
    assert torch.equal(output[3] == 15.0, alive)
    assert torch.equal(output[3] == 1.0, ~alive)


def test_sequence_batch_norm_ignores_padding_and_learns_statistics():
    torch.manual_seed(0)
    gru = GRU(I, H, batch_norm="sequence", bias=False).double()
    x = 3.0 + torch.randn(T, B, I, dtype=torch.float64)
    lengths = torch.tensor([5, 2, 4])
    x[4:, 2] = torch.nan
    x[2:, 1] = torch.nan
    gru(x, lengths=lengths)
    valid = torch.cat([x[:n, k] for k, n in enumerate(lengths)])
    a = valid @ gru.weight_ih_l0.T
    torch.testing.assert_close(gru.norm_ih_l0_mean[0], 0.1 * a.mean(0).detach())
    expected = 0.9 + 0.1 * a.var(0, correction=0).detach()
    torch.testing.assert_close(gru.norm_ih_l0_var[0], expected)


def test_recurrent_batch_norm_has_statistics_for_each_step_up_to_a_limit():
    torch.manual_seed(0)
    lstm = LSTM(I, H, batch_norm="recurrent").double()
    x = torch.randn(120, B, I, dtype=torch.float64)
    output, _ = lstm(x)
    assert output.isfinite().all()
    assert len(lstm.norm_hh_l0_mean) == 100
    assert not torch.equal(lstm.norm_hh_l0_mean[3], lstm.norm_hh_l0_mean[4])
    torch.testing.assert_close(
        lstm.norm_ih_l0_mean[7], 0.1 * (x[7] @ lstm.weight_ih_l0.T).mean(0).detach()
    )
    shorter = copy.deepcopy(lstm)
    for name, buffer in shorter.named_buffers():
        nn.init.constant_(buffer, 1.0 if name.endswith("var") else 0.0)
    shorter(x[:100])  # steps beyond the limit have taught nothing
    for name, buffer in lstm.named_buffers():
        torch.testing.assert_close(dict(shorter.named_buffers())[name], buffer)
    before = lstm.norm_hh_l0_mean.clone()
    lstm.eval()(x)
    assert torch.equal(before, lstm.norm_hh_l0_mean)


def test_weight_drop_drops_a_new_share_each_pass_and_nothing_at_evaluation():
    torch.manual_seed(0)
    plain = LSTM(I, H)
    dropped = LSTM(I, H)
    dropped.load_state_dict(plain.state_dict())
    weight_drop(dropped, 0.5)
    x = torch.randn(T, B, I)
    assert not torch.equal(dropped(x)[0], dropped(x)[0])
    torch.testing.assert_close(dropped.eval()(x)[0], plain(x)[0])
    dropped.train()(x)[0].sum().backward()
    gradient = dropped.parametrizations.weight_hh_l0.original.grad
    assert 0.2 < (gradient == 0).float().mean() < 0.8


def test_weight_norm_starts_equal_and_separates_length_from_direction():
    torch.manual_seed(0)
    plain, split = GRU(I, H), GRU(I, H)
    split.load_state_dict(plain.state_dict())
    weight_norm(split)
    x = torch.randn(T, B, I)
    torch.testing.assert_close(split(x)[0], plain(x)[0])
    length = split.parametrizations.weight_hh_l0.original0
    torch.testing.assert_close(length[:, 0], plain.weight_hh_l0.norm(dim=1))
    with pytest.raises(InputError, match="already"):
        weight_norm(split)


def test_a_functional_call_runs_with_the_parameters_that_it_is_given():
    torch.manual_seed(0)
    one, other = LSTM(I, H, 2, bidirectional=True), LSTM(I, H, 2, bidirectional=True)
    x = torch.randn(T, B, I)
    found = torch.func.functional_call(one, dict(other.named_parameters()), (x,))[0]
    torch.testing.assert_close(found, other(x)[0], rtol=0, atol=0)


@pytest.mark.parametrize(("steps", "lengths"), [(0, None), (T, [0, 2, 0])])
def test_final_states_do_not_share_memory(steps, lengths):
    with torch.no_grad():
        h, c = LSTM(I, H)(torch.randn(steps, B, I), lengths=lengths)[1]
    before = c.clone()
    h.fill_(9.0)
    torch.testing.assert_close(c, before, rtol=0, atol=0)


def test_initial_values():
    torch.manual_seed(0)
    lstm = LSTM(I, 64, init="orthogonal", forget_bias=1.0)
    for block in lstm.weight_hh_l0.chunk(4):
        torch.testing.assert_close(block @ block.T, torch.eye(64), atol=1e-5, rtol=0)
    forget = (lstm.bias_ih_l0 + lstm.bias_hh_l0).view(4, 64)[1]
    assert torch.equal(forget, torch.ones(64))
    assert torch.equal(RNN(I, 8, init="identity").weight_hh_l0, torch.eye(8))
    bias = init.chrono_(torch.zeros(3 * 500), ("r", "z", "n"), 100.0).view(3, 500)
    assert not bias[0].any()
    assert 0.0 <= bias[1].min() < 2.0
    assert math.log(90.0) < bias[1].max() <= math.log(99.0)
    chrono = LSTM(I, 64, init="chrono")
    both = (chrono.bias_ih_l0 + chrono.bias_hh_l0).view(4, 64)
    torch.testing.assert_close(both[0], -both[1])


def test_initialisers_refuse_what_they_cannot_set():
    bias, gates = torch.zeros(12), ("i", "f", "g", "o")
    for call in (
        lambda: init.chrono_(bias, gates, 2.0),
        lambda: init.chrono_(bias, ("h",), 9.0),
        lambda: init.forget_bias_(bias, ("r", "z", "n")),
        lambda: init.orthogonal_(torch.zeros(12, 3), 5),
        lambda: init.identity_(torch.zeros(12, 3), 0),
    ):
        with pytest.raises(InputError):
            call()


@pytest.mark.parametrize(
    "layer", [LSTM(I, H, peephole=True, zoneout=0.1, proj_size=2), GRU(I, H), RNN(I, H)]
)
def test_gates_of_no_step_have_their_names_and_widths(layer):
    of_none = layer(torch.zeros(0, B, I), return_gates=True)[2][0]
    of_one = layer(torch.zeros(1, B, I), return_gates=True)[2][0]
    assert {n: g.shape for n, g in of_none.items()} == dict.fromkeys(of_one, (0, B, H))
