"""The report opens anywhere, shows everything, and takes names for what they are: text."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
from tests.insight.pages import HOSTILE, browser, check_in_browser, parsed, without_plotly

from longspan import Forecaster
from longspan.insight import forecast_html, verdict, write_report
from longspan.insight.course import POINTS, thin
from longspan.training import History

EPOCH = {"epoch": 1, "step": 3, "train_loss": 1.0}


@pytest.fixture(scope="module")
def run():
    t = np.arange(300)
    y = np.stack([10 + np.sin(2 * np.pi * t / 24), 5 + np.cos(2 * np.pi * t / 24)], 1)
    model = Forecaster(horizon=6, max_epochs=3, hidden_size=8, season_length=24)
    return model.fit(y + np.random.default_rng(0).normal(0, 0.1, y.shape), test_windows=3).run_


def test_everything_is_there_and_nothing_is_fetched(run):
    html = forecast_html(run)
    page = parsed(html)
    assert page.headings == [
        "Forecasts against what happened", "Against the baselines", "Error along the horizon",
        "Calibration", "Data and split", "Training", "Settings",
    ]  # fmt: skip
    assert page.links == []
    own = without_plotly(html)
    assert not re.search(r"https?://|@import|url\(", own)
    for word in (
        "seasonal naive",
        "max_grad_norm",
        "torch",
        "season_length",
        verdict(run.evaluation),
    ):
        assert word in page.text
    assert len(own) < 2_000_000


def test_hostile_names_stay_text(run):
    evaluation = run.evaluation
    named = replace(evaluation.model, series=(HOSTILE,) * len(evaluation.model.series))
    bad = replace(
        run, title=HOSTILE, notes=[HOSTILE], evaluation=replace(evaluation, model=named),
        sample_series={HOSTILE: next(iter(run.sample_series.values()))},
        splits=[replace(run.splits[0], series=HOSTILE)], settings={"seed": HOSTILE},
    )  # fmt: skip
    html = without_plotly(forecast_html(bad))
    assert "<script>document.title" not in html
    assert "<b>&" not in html
    assert parsed(html).text.count(HOSTILE) >= 4


def test_empty_cases_still_make_a_page(run):
    evaluation = run.evaluation
    unknown = replace(evaluation.model, actual=np.full_like(evaluation.model.actual, np.nan))
    median = replace(
        evaluation.model, levels=(0.5,), quantiles=evaluation.model.quantiles[..., 1:2]
    )
    cases = [
        replace(run, evaluation=None),
        replace(run, history=History()),
        replace(run, history=replace(run.history, epochs=[EPOCH], best_epoch=None, flow=[])),
        replace(run, sample_series={}, splits=[], notes=[]),
        replace(run, evaluation=replace(evaluation, model=unknown, interval=None)),
        replace(run, evaluation=replace(evaluation, model=median, interval=None)),
        replace(run, splits=run.splits * 300),
    ]
    for case in cases:
        assert parsed(without_plotly(forecast_html(case))).headings[-1] == "Settings"


def test_the_verdict_is_honest(run):
    evaluation = run.evaluation
    names = list(evaluation.scores)
    good = {n: {**evaluation.scores[n], "mase": 0.5 if n == "model" else 1.0} for n in names}
    bad = {n: {**evaluation.scores[n], "mase": 1.5 if n == "model" else 1.0} for n in names}
    assert "beats the best baseline" in verdict(replace(evaluation, scores=good))
    assert "by 50.0 % in MASE" in verdict(replace(evaluation, scores=good))
    assert "does not beat" in verdict(replace(evaluation, scores=bad))
    assert "50.0 % worse" in verdict(replace(evaluation, scores=bad))
    assert "nothing is known" in verdict(None)


def test_thinning_keeps_extremes():
    y = np.random.default_rng(0).normal(size=50_000)
    y[[123, 40_000]] = 50.0, -50.0
    x, kept = thin(np.arange(50_000), y)
    assert len(kept) <= POINTS + 2
    assert kept.max() == 50.0
    assert kept.min() == -50.0
    assert (np.diff(x) > 0).all()
    short = np.array([1.0, np.nan])
    assert thin(np.arange(2), short)[1] is short


def test_the_file_is_written_whole_or_not_at_all(run, tmp_path):
    write_report(run, tmp_path / "r.html")
    before = (tmp_path / "r.html").read_bytes()
    with pytest.raises(TypeError):
        write_report(replace(run, splits=None), tmp_path / "r.html")  # type: ignore[arg-type]
    assert (tmp_path / "r.html").read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["r.html"]


@pytest.mark.browser
@browser
def test_it_opens_in_a_browser(run, tmp_path):
    write_report(replace(run, title=HOSTILE), tmp_path / "r.html")
    check_in_browser(tmp_path / "r.html")
