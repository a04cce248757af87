"""The report of a classifier."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from tests.insight.pages import HOSTILE, browser, check_in_browser, parsed, without_plotly

from longspan import Classifier
from longspan.insight import classify_html
from longspan.insight.classify_report import classify_verdict, confusion, reliability
from longspan.insight.page import write_page
from longspan.tasks.classify.scores import Evaluation, Mistake
from longspan.training import History

RNG = np.random.default_rng(0)
TEXTS = [f"{'good' if k % 3 else '<b>bad</b>'} word{k % 4}" for k in range(60)]
DATA = {
    "series": (RNG.normal(size=(60, 9, 2)), np.arange(60) % 3),
    "text": (TEXTS, ["yes" if k % 4 else "no" for k in range(60)]),
    "image": (RNG.integers(0, 255, (60, 4, 3, 3)).astype(np.uint8), np.arange(60) % 3),
}


@pytest.fixture(scope="module", params=DATA)
def run(request):
    model = Classifier(hidden_size=4, max_epochs=2, embedding_size=4, validation_share=0.1)
    return model.fit(*DATA[request.param], test_share=0.5).run_


def test_everything_is_there(run):
    html = classify_html(run)
    page = parsed(html)
    assert page.headings == [
        "Against the baseline", "What is taken for what", "Can its probabilities be trusted?",
        "Where it is most wrong", *(["The data"] if run.notes else []), "Training", "Settings",
    ]  # fmt: skip
    assert page.links == []
    for word in ("most frequent class", "balanced accuracy", "calibration error", "hidden_size"):
        assert word in page.text
    assert classify_verdict(run.evaluation) in page.text
    assert ("ROC AUC" in page.text) == (len(run.classes) == 2)
    for mistake in run.evaluation.mistakes:
        assert f"{mistake.number}: is" in page.text
    assert len(without_plotly(html)) < 1_000_000


def test_names_and_texts_are_shown_as_they_are(run):
    mistake = Mistake(0, HOSTILE, HOSTILE, 0.5, HOSTILE if run.kind == "text" else np.zeros((4, 9)))
    evaluation = replace(
        run.evaluation, mistakes=[mistake], labels=[HOSTILE, *run.evaluation.labels[1:]],
        per_class={HOSTILE: next(iter(run.evaluation.per_class.values()))},
    )  # fmt: skip
    html = without_plotly(
        classify_html(replace(run, title=HOSTILE, notes=[HOSTILE], evaluation=evaluation))
    )
    assert "<script>document.title" not in html
    assert "<b>bad" not in html
    assert parsed(html).text.count(HOSTILE) >= 4


def test_empty_cases_still_make_a_page(run):
    for case in (
        replace(run, evaluation=None),
        replace(run, history=History(), notes=[]),
        replace(
            run, evaluation=replace(run.evaluation, mistakes=[], bins=[], roc=np.zeros((0, 2)))
        ),
    ):
        assert parsed(without_plotly(classify_html(case))).headings[-1] == "Settings"


def test_the_figures_hold_the_numbers():
    counts = np.array([[3, 1], [0, 4]])
    bins = [(0.5, 0.55, 0.4, 5), (0.9, 0.95, 1.0, 3)]
    found = Evaluation({}, ["a", "b"], counts, {}, bins)
    heat = confusion(found).data[0]
    assert heat.z == ([0.75, 0.25], [0.0, 1.0])
    assert heat.text == ([3, 1], [0, 4])
    _, shares, model = reliability(found).data
    assert list(model.x) == [0.55, 0.95]
    assert list(model.y) == [0.4, 1.0]
    assert list(shares.y) == [5 / 8, 3 / 8]
    many = np.eye(60, dtype=int) * 9
    many[7, 50] = 5
    shown = confusion(Evaluation({}, list(range(60)), many, {}, [])).data[0]
    assert len(shown.x) == 40
    assert {"7", "50"} <= set(shown.x)


def test_the_verdict_is_honest():
    def of(own, usual):
        scores = {"model": {"accuracy": own}, "most frequent class": {"accuracy": usual}}
        return classify_verdict(Evaluation(scores, [], np.zeros((0, 0)), {}))

    assert "right about 90.0 %" in of(0.9, 0.5)
    assert "does not beat" in of(0.5, 0.5)
    assert "nothing is known" in classify_verdict(None)


@pytest.mark.browser
@browser
def test_it_opens_in_a_browser(run, tmp_path):
    write_page(classify_html(replace(run, title=HOSTILE)), tmp_path / "r.html")
    check_in_browser(tmp_path / "r.html")
