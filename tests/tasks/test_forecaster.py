"""The forecaster as its users meet it."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

import longspan
from longspan import Forecaster
from longspan.errors import CheckpointError, InputError
from longspan.tasks.forecast.likelihoods import LIKELIHOODS, Frame, Quantile
from longspan.tasks.forecast.network import ForecastNetwork, Inputs, window_units


def ahead(table, horizon):
    """The rows after the end of each series, with what is known in advance."""
    rows = []
    for (name,), part in table.group_by("id", maintain_order=True):
        last = part["time"].max()
        rows += [(name, last + dt.timedelta(hours=h), 0.1 * h) for h in range(1, horizon + 1)]
    return pl.DataFrame(rows, schema=["id", "time", "price"], orient="row")


@pytest.mark.parametrize("likelihood", LIKELIHOODS)
@pytest.mark.parametrize("decoding", ["direct", "encoder_decoder", "recursive"])
def test_every_decoding_with_every_likelihood(table, roles, small, likelihood, decoding):
    roles = {k: v for k, v in roles.items() if k != "past_covariates"}
    counts = table.with_columns(pl.col("y").round())
    model = Forecaster(**small, likelihood=likelihood, decoding=decoding, num_samples=20)
    model.fit(counts, test_windows=1, **roles)
    found = model.predict(future=ahead(table, 6))
    assert found.columns == ["id", "time", "mean", "q0.1", "q0.5", "q0.9"]
    assert found.height == 3 * 6
    assert not found.null_count().sum_horizontal().sum()
    assert np.isfinite(found["mean"].to_numpy()).all()
    assert (found["q0.1"] <= found["q0.5"]).all()
    assert (found["q0.5"] <= found["q0.9"]).all()
    first = found.filter(pl.col("id") == "s1")["time"][0]
    assert first == dt.datetime(2024, 1, 1) + dt.timedelta(hours=90)
    # Units are those of the data: every series is forecast near its own level.
    for k in range(3):
        assert found.filter(pl.col("id") == f"s{k}")["mean"].mean() == pytest.approx(
            50 * (k + 1), rel=0.5
        )


@pytest.mark.parametrize("cell", ["gru", "rnn"])
@pytest.mark.parametrize("scaling", ["window", "series", "none"])
def test_cells_and_scalings(table, roles, small, cell, scaling):
    model = Forecaster(**small, cell=cell, scaling=scaling, num_layers=2, dropout=0.1)
    evaluation = model.fit(table, test_windows=1, **roles).evaluation_
    assert all(np.isfinite(v) for v in evaluation.scores["model"].values())
    assert set(evaluation.scores) >= {"model", "last value", "drift"}


def test_it_learns_what_can_be_learnt():
    """A season with noise and a known driver: far better than the seasonal naive forecast."""
    rng = np.random.default_rng(1)
    t, price = np.arange(1500), rng.normal(size=1500)
    y = 100 + 10 * np.sin(2 * np.pi * t / 12) + 5 * price + rng.normal(size=1500)
    table = pl.DataFrame({"y": y, "price": price})
    model = Forecaster(horizon=12, season_length=12, max_epochs=8, hidden_size=32)
    model.fit(table, target="y", future_covariates=["price"], test_windows=5)
    scores = model.evaluation_.scores
    assert scores["model"]["mae"] < 0.4 * scores["seasonal naive"]["mae"]
    assert 0.6 < scores["model"]["coverage"] < 0.97


@pytest.mark.parametrize("decoding", ["direct", "encoder_decoder", "recursive"])
def test_no_future_value_leaks(table, roles, small, decoding):
    """Change everything after the test origin: trained weights and forecasts must not move."""
    if decoding == "recursive":
        roles = {k: v for k, v in roles.items() if k != "past_covariates"}
    rank = pl.int_range(pl.len()).over("id")
    ends = pl.len().over("id")
    noise = pl.lit(np.random.default_rng(3).normal(1e4, 1e3, table.height))
    test = rank >= ends - 6
    columns = [pl.when(test).then(noise).otherwise(pl.col(c)).alias(c) for c in ("y", "rain")]
    changed = table.with_columns(columns)
    models = [
        Forecaster(**small, decoding=decoding, num_samples=10).fit(t, test_windows=1, **roles)
        for t in (table, changed)
    ]
    a, b = (m.engine_.network.state_dict() for m in models)
    assert all(torch.equal(a[name], b[name]) for name in a)
    left, right = (m.evaluation_.model for m in models)
    np.testing.assert_array_equal(left.quantiles, right.quantiles)
    np.testing.assert_array_equal(left.mean, right.mean)
    assert not np.array_equal(left.actual, right.actual)


def test_a_window_does_not_depend_on_its_batch_or_on_what_lies_before_the_series(small):
    torch.manual_seed(0)
    for decoding in ("direct", "encoder_decoder", "recursive"):
        network = ForecastNetwork(
            (0, 0, 0, 0), horizon=3, context_length=8, seasons=(4,), decoding=decoding,
            anchor="seasonal", hidden_size=5,
        ).eval()  # fmt: skip
        context = torch.randn(3, network.lookback)
        inside = torch.ones(3, network.lookback, dtype=torch.bool)
        inside[1, :9] = False  # the series begins inside the context
        context[1, :9] = torch.nan

        def inputs(rows, context=context, inside=inside, network=network):
            n = len(rows)
            return Inputs(
                context[rows], inside[rows], torch.zeros(n, network.lookback, 0),
                torch.zeros(n, network.lookback + 3, 0), torch.zeros(n, 0),
                torch.tensor([[0.0, 1.0]]).expand(n, 2), torch.zeros(n, 3),
            )  # fmt: skip

        together, _ = network(inputs([0, 1, 2]))
        for k in range(3):
            torch.testing.assert_close(network(inputs([k]))[0][0], together[k])


def test_same_seed_same_numbers_and_other_seed_others(table, roles, small):
    runs = [Forecaster(**small, seed=s).fit(table, **roles) for s in (0, 0, 1)]
    tables = [run.predict(future=ahead(table, 6)) for run in runs]
    assert tables[0].equals(tables[1])
    assert not tables[0].equals(tables[2])


def test_saved_and_loaded_it_forecasts_the_same(fitted, table, tmp_path):
    fitted.save(tmp_path / "model", report="<html></html>")
    assert sorted(p.name for p in (tmp_path / "model").iterdir()) == [
        "README.md", "config.json", "model.safetensors", "report.html",
    ]  # fmt: skip
    loaded = longspan.load(tmp_path / "model")
    future = ahead(table, 6)
    assert loaded.predict(future=future).equals(fitted.predict(future=future))
    assert loaded.predict(table, future).equals(fitted.predict(table, future))
    assert loaded.get_params()["hidden_size"] == 8
    assert "seasonal naive" in (tmp_path / "model" / "README.md").read_text()


def test_backtest_trains_before_the_windows_once_or_anew(table, roles, small):
    model = Forecaster(**small)
    once = model.backtest(table, windows=2, **roles)
    anew = model.backtest(table, windows=2, refit=True, **roles)
    for evaluation in (once, anew):
        assert len(evaluation.model.series) == 6
        assert evaluation.by_step["model"]["mae"].shape == (6,)
    order = np.argsort(once.model.origin * 10 + [int(s[1]) for s in once.model.series])
    other = np.argsort(anew.model.origin * 10 + [int(s[1]) for s in anew.model.series])
    np.testing.assert_array_equal(once.model.actual[order], anew.model.actual[other])
    assert not hasattr(model, "engine_")


def test_refit_uses_everything_and_keeps_the_scores(table, roles, small):
    plain = Forecaster(**small).fit(table, test_windows=1, **roles)
    again = Forecaster(**small).fit(table, test_windows=1, refit=True, **roles)
    assert again.evaluation_.scores == plain.evaluation_.scores
    assert again.trained_until_["s0"] == plain.trained_until_["s0"] + 6
    assert not again.predict(future=ahead(table, 6)).equals(plain.predict(future=ahead(table, 6)))


def test_scoring_on_training_data_needs_a_word(fitted, table):
    assert fitted.evaluate(table, 2).scores.keys() == fitted.evaluation_.scores.keys()
    with pytest.raises(InputError, match="trained on"):
        fitted.evaluate(table, 3)
    assert fitted.evaluate(table, 3, allow_seen=True).model.mean.shape == (9, 6)
    assert fitted.score(table, 2) == -fitted.evaluate(table, 2).scores["model"]["mase"]


def test_numbers_of_windows_are_whole_and_positive(fitted, table, small):
    for call in (
        lambda n: fitted.evaluate(table, n),
        lambda n: fitted.evaluate(table, 2, step=n, allow_seen=True),
        lambda n: Forecaster(**small).backtest(series(), n),
        lambda n: Forecaster(**small).backtest(series(), n, refit=True),
        lambda n: Forecaster(**small).fit(series(), test_windows=n - 1),
    ):
        for wrong in (0, -1, 2.5):
            with pytest.raises(InputError, match=r"must be a whole number, \d or more, got"):
                call(wrong)


def test_a_checkpoint_does_not_go_on_with_other_data(small, tmp_path):
    Forecaster(**small).fit(series(), checkpoint_dir=tmp_path)
    Forecaster(**small).fit(series(), checkpoint_dir=tmp_path, resume=True)
    with pytest.raises(CheckpointError, match="data: "):
        Forecaster(**small).fit(series()[::-1], checkpoint_dir=tmp_path, resume=True)


def test_scikit_learns_protocol(small):
    model = Forecaster(**small)
    twin = clone(model.set_params(horizon=3))
    assert twin.get_params()["horizon"] == 3
    assert "horizon=3" in repr(twin)
    with pytest.raises(NotFittedError):
        model.predict()


def series(n=100):
    return 10.0 + np.sin(np.arange(n) / 3)


BAD_OPTIONS = {
    "`horizon` = 0 cannot be used": {"horizon": 0},
    "Did you mean 'hidden_size'": {"hiden_size": 3},
    "rising order": {"quantiles": (0.9, 0.1)},
    "layer_norm needs cell='lstm'": {"cell": "gru", "layer_norm": True},
    "for counts": {"likelihood": "negative_binomial"},
    "takes no anchor": {"likelihood": "negative_binomial", "anchor": "last"},
    "needs a season": {"anchor": "seasonal", "season_length": 1},
}


@pytest.mark.parametrize("message", BAD_OPTIONS)
def test_bad_options(message):
    with pytest.raises(InputError, match=message):
        Forecaster(**{"horizon": 6, "max_steps": 1, **BAD_OPTIONS[message]}).fit(series())


def test_bad_data(small):
    model = Forecaster(**small)
    with pytest.raises(InputError, match="needs at least 7"):
        model.fit(series(6))
    with pytest.raises(InputError, match="never changes"):
        model.fit(np.full(100, 3.0))
    with pytest.raises(InputError, match="is missing"):
        model.fit(np.full(100, np.nan))
    with pytest.raises(InputError, match="hardly changes beside its level"):
        model.fit(1.7e9 + 100 * series())
    with pytest.raises(InputError, match=r"has values beyond 1e\+17, such as -1"):
        model.fit(-1e25 * series())
    with pytest.raises(InputError, match="infinite"):
        model.fit(np.append(series(), np.inf))
    with pytest.raises(InputError, match="`test_windows` must be a whole number"):
        model.fit(series(), test_windows=-1)
    with pytest.raises(InputError, match="recursive forecast needs"):
        Forecaster(**small, decoding="recursive").fit(
            pl.DataFrame({"y": series(), "x": series()}), target="y", past_covariates=["x"]
        )


def test_covariates_missing_at_prediction(fitted, table):
    with pytest.raises(InputError, match=r"\['price'\] must be known for all 6 steps"):
        fitted.predict()
    with pytest.raises(InputError, match=r"\['price'\] are missing from `future`"):
        fitted.predict(future=ahead(table, 6).drop("price"))
    with pytest.raises(InputError, match="covariate 'rain' is missing"):
        fitted.predict(table.drop("rain"), ahead(table, 6))
    with pytest.raises(InputError, match="must be known"):
        fitted.predict(future=ahead(table, 5))


def test_what_is_known_in_advance_may_come_in_other_forms(fitted, table):
    horizon = ahead(table, 6)
    expected = fitted.predict(table, horizon)
    text = horizon.with_columns(pl.col("time").dt.strftime("%Y-%m-%d %H:%M"))
    happened = horizon.with_columns(y=pl.lit(1e6))
    covariates = pl.concat([table.select("id", "time", "price"), horizon])
    for future in (horizon.select("price", "time", "id"), text, happened, covariates):
        assert fitted.predict(table, future).equals(expected)
    # Rows that are missing are not known in advance.
    with pytest.raises(InputError, match="has 2 rows that follow its last value without a gap"):
        fitted.predict(future=pl.concat([ahead(table, 2), ahead(table, 7)[6::7]]))
    for wrong, message in (
        (horizon.drop("time"), r"columns \['time'\] are missing from `future`"),
        (horizon.drop("id"), r"columns \['id'\] are missing from `future`"),
        (horizon.with_columns(price=pl.lit("dear")), "'price' of `future` holds String"),
        (horizon.with_columns(time=pl.lit(3)), "'time' of `future` holds Int64"),
    ):
        with pytest.raises(InputError, match=message):
            fitted.predict(table, wrong)
    with pytest.raises(InputError, match="covariate 'price' is missing"):
        fitted.predict(table.drop("price"), horizon)


def test_a_missing_static_covariate_leaves_the_others_in_units(small):
    sizes = [1e6, 3e6, np.nan]
    table = pl.DataFrame(
        {"id": np.repeat(list("abc"), 40), "y": series(120), "size": np.repeat(sizes, 40)}
    )
    model = Forecaster(**small).fit(table, target="y", id="id", static_covariates=["size"])
    units = model.engine_.network.static_units
    assert units(torch.tensor([[1e6], [3e6], [torch.nan]])).tolist() == [[-1.0], [1.0], [0.0]]


def test_whole_numbers_in_the_past_do_not_round_the_future(small):
    table = pl.DataFrame({"time": range(60), "y": series(60), "x": [k % 5 for k in range(60)]})
    model = Forecaster(**small).fit(table, target="y", time="time", future_covariates=["x"])
    means = []
    for x in (0.0, 0.9):
        future = pl.DataFrame({"time": range(60, 66), "x": [x] * 6})
        means.append(model.predict(future=future)["mean"][0])
    assert means[0] != means[1]


def test_the_smallest_series_and_horizon():
    model = Forecaster(horizon=1, max_steps=2, hidden_size=1).fit(np.array([1.0, 2.0, 4.0]))
    assert model.predict().height == 1


def test_series_of_very_different_size_share_a_model(small):
    base = series(200)
    model = Forecaster(**small).fit(np.stack([base, base * 1e6, base * 1e-3], 1))
    mean = model.predict()["mean"].to_numpy().reshape(3, -1)
    np.testing.assert_allclose(mean[1] / mean[0], 1e6, rtol=1e-3)
    np.testing.assert_allclose(mean[2] / mean[0], 1e-3, rtol=1e-3)


def test_window_units_ignore_missing_values_and_fall_back():
    nan = torch.nan
    context = torch.tensor([[1.0, 3.0, nan], [5.0, 5.0, 5.0], [nan, nan, nan]])
    location, scale = window_units(context, torch.full((3, 1), 7.0), torch.full((3, 1), 2.0))
    assert location[:, 0].tolist() == [2.0, 5.0, 7.0]
    assert scale[:, 0].tolist() == [1.0, 2.0, 2.0]


def test_likelihoods_agree_with_scipy():
    from scipy import stats

    torch.manual_seed(0)
    frame = Frame(torch.tensor([3.0]), torch.tensor([2.0]), torch.tensor([0.5]))
    levels, generator = (0.1, 0.5, 0.9), torch.Generator().manual_seed(0)
    y = torch.tensor([4.0])
    for name, raw in {
        "normal": [0.2, 0.3], "student_t": [0.2, 0.3, 1.0], "negative_binomial": [0.2, 0.3]
    }.items():  # fmt: skip
        likelihood, values = LIKELIHOODS[name](levels), torch.tensor([raw])
        softplus = [float(torch.nn.functional.softplus(torch.tensor(v))) for v in raw]
        if name == "normal":
            law = stats.norm(3 + 2 * 0.7, 2 * (softplus[1] + 1e-4))
        elif name == "student_t":
            law = stats.t(2.001 + softplus[2], 3 + 2 * 0.7, 2 * (softplus[1] + 1e-4))
        else:
            mu, r = 2 * softplus[0], 1 / (softplus[1] + 1e-4)
            law = stats.nbinom(r, r / (r + mu))
        density = law.logpmf(4) if name == "negative_binomial" else law.logpdf(4.0) + np.log(2.0)
        assert float(likelihood.loss(values, y, frame)) == pytest.approx(-density, rel=1e-4)
        found = likelihood.quantiles(values, frame, levels)[0].tolist()
        assert found == pytest.approx(law.ppf(levels), rel=1e-3)
        assert float(likelihood.mean(values, frame)) == pytest.approx(law.mean(), rel=1e-3)
        many = values.expand(40000, -1)
        wide = Frame(*(v.expand(40000) for v in (frame.location, frame.scale, frame.anchor)))
        drawn = likelihood.sample(many, wide, generator)
        assert float(drawn.mean()) == pytest.approx(law.mean(), rel=0.05)
        assert float((drawn <= law.ppf(0.9)).float().mean()) == pytest.approx(
            law.cdf(law.ppf(0.9)), abs=0.01
        )


def test_pinball_loss_finds_quantiles_and_crossing_ones_are_sorted():
    torch.manual_seed(0)
    levels = (0.1, 0.5, 0.9)
    y = torch.randn(4000)
    one = torch.ones(4000)
    raw = torch.zeros(4, requires_grad=True)
    likelihood, optimizer = Quantile(levels), torch.optim.Adam([raw], lr=0.05)
    for _ in range(300):
        optimizer.zero_grad()
        likelihood.loss(raw.expand(4000, 4), y, Frame(0 * one, one, 0 * one)).mean().backward()
        optimizer.step()
    np.testing.assert_allclose(raw.detach()[:3], np.quantile(y.numpy(), levels), atol=0.05)
    crossed = torch.tensor([[2.0, 1.0, 3.0, 0.0]])
    frame = Frame(torch.zeros(1), torch.ones(1), torch.zeros(1))
    assert likelihood.quantiles(crossed, frame, levels).tolist() == [[1.0, 2.0, 3.0]]


def test_ids_and_dates_come_back_as_they_were_given(small):
    days = [dt.date(2024, 1, 1) + dt.timedelta(days=k) for k in range(60)]
    table = pl.DataFrame({"store": [7] * 60 + [8] * 60, "day": days * 2, "y": series(120)})
    found = Forecaster(**small).fit(table, target="y", id="store").predict()
    assert found.schema["store"] == pl.Int64
    assert found.schema["day"] == pl.Date
    assert found["day"][0] == dt.date(2024, 3, 1)


def test_dates_as_text_of_any_form_are_kept_in_order(small, tmp_path):
    """Days first: in order of text the rows would be in another order than in time."""
    days = [dt.date(2024, 1, 1) + dt.timedelta(days=k) for k in range(100)]
    table = pl.DataFrame({"day": [d.strftime("%d.%m.%Y") for d in days], "y": series(100)})
    model = Forecaster(**small).fit(table)
    assert model.predict().equals(model.predict(table))
    assert model.predict()["day"][0] == dt.date(2024, 4, 10)


@pytest.mark.parametrize("freq", ["h", "D"])
def test_times_come_back_in_their_zone(small, tmp_path, freq):
    times = pd.date_range("2024-01-01", periods=106, freq=freq, tz="Europe/Berlin")
    table = pl.DataFrame({"time": times[:100], "y": series(100)})
    model = Forecaster(**small).fit(table)
    found = model.predict()
    assert found["time"].to_list() == list(times[100:])
    assert found.equals(model.predict(table))
    model.save(tmp_path / "m")
    assert longspan.load(tmp_path / "m").predict()["time"].to_list() == list(times[100:])
    text = pl.DataFrame({"time": [t.isoformat() for t in times[:100]], "y": series(100)})
    zoned = Forecaster(**small).fit(text).predict()["time"]
    first = times[100].to_pydatetime()
    assert zoned[0] == (first if freq == "h" else first.date())


def test_dates_that_are_numbers_go_on_as_dates(small):
    days = [dt.date(2024, 1, 20) + dt.timedelta(days=k) for k in range(60)]
    table = pl.DataFrame({"date": [int(d.strftime("%Y%m%d")) for d in days], "y": series(60)})
    found = Forecaster(**small).fit(table, target="y").predict()
    assert found["date"][0] == dt.date(2024, 3, 20)


def test_columns_called_like_those_of_a_forecast_do_not_change_it(small):
    table = pl.DataFrame({"time": range(60), "mean": np.round(100 * series(60)).astype(int)})
    found = Forecaster(**small).fit(table).predict(table)
    assert found.schema["mean"] == pl.Float64
    wide = pl.DataFrame({"series": range(60), "a": series(60), "b": series(60)})
    found = Forecaster(**small).fit(wide, target=["a", "b"]).predict(wide)
    assert set(found["series"]) == {"a", "b"}


@pytest.mark.parametrize("ids", [["a"] * 60 + ["b"] * 8, ["b"] * 8 + ["a"] * 60])
def test_a_series_too_short_for_the_test_part_is_left_out(small, ids):
    table = pl.DataFrame({"id": ids, "y": series(68)})
    model = Forecaster(**small).fit(table, target="y", id="id", test_windows=2)
    assert set(model.evaluation_.model.series) == {"a"}
    assert set(model.predict()["id"]) == {"a", "b"}


@pytest.mark.parametrize("long", [False, True])
def test_without_times_steps_are_counted_from_the_beginning(small, tmp_path, long):
    columns = {"a": [None, *series(99)], "b": series(100)}
    table = pl.DataFrame(columns)
    roles = {}
    if long:  # series of different lengths, rows not in order of series
        table = pl.DataFrame({"id": ["a", "b"] * 90 + ["b"] * 20, "y": series(200)})
        roles = {"id": "id", "target": "y"}
    model = Forecaster(**small).fit(table, **roles)
    found = model.predict()
    assert found.equals(model.predict(table))
    assert found["step"].max() == (110 if long else 100) + 5
    model.save(tmp_path / "m")
    assert longspan.load(tmp_path / "m").predict().equals(found)


def test_covariates_known_far_ahead_leave_the_history_in_place(small):
    table = pl.DataFrame(
        {"time": range(300), "y": [*series(100), *[None] * 200], "x": series(300)}
    )  # fmt: skip
    model = Forecaster(**small).fit(table, target="y", time="time", future_covariates=["x"])
    assert model.predict().equals(model.predict(table))
    assert model.recent_.height < 100


def test_wide_series_may_end_at_different_times(small):
    table = pl.DataFrame(
        {"time": range(200), "a": series(200), "b": [*series(80), *[None] * 120]}
    )  # fmt: skip
    model = Forecaster(**small).fit(table, time="time")
    found = model.predict()
    assert found.equals(model.predict(table))
    assert found.filter(pl.col("series") == "b")["time"][0] == 80


def test_repeated_times_do_not_shorten_the_history(small):
    steps = [*range(100), *range(91, 100)]
    table = pl.DataFrame({"time": steps, "y": series(109)})
    model = Forecaster(**small, context_length=30).fit(table, time="time")
    assert model.predict().equals(model.predict(table))
