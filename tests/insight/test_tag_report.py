"""The report of a tagger."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.insight.pages import HOSTILE, browser, check_in_browser, parsed, without_plotly
from tests.tasks.tag.conftest import requests, small

from longspan.insight import tag_html
from longspan.insight.page import write_page
from longspan.insight.tag_report import tag_verdict
from longspan.tasks.tag.baselines import MOST_FREQUENT
from longspan.tasks.tag.scores import Mistake
from longspan.training import History


@pytest.fixture(scope="module")
def run():
    return small(max_epochs=4, learning_rate=0.02).fit(
        *requests(60), test=requests(30, seed=1)
    ).run_  # fmt: skip


@pytest.fixture(scope="module")
def plain_run():
    words = [["the", "cat", "sat"], ["a", "dog"]] * 9
    labels = [["DET", "NOUN", "VERB"], ["DET", "NOUN"]] * 9
    return small(crf=False).fit(words, labels, test_share=0.3).run_


def test_everything_is_there(run):
    html = tag_html(run)
    page = parsed(html)
    assert page.headings == [
        "Against the baseline", "Spans by type", "What is taken for what", "Worst sequences",
        "What follows what", "The data", "Training", "Settings",
    ]  # fmt: skip
    assert page.links == []
    for word in (MOST_FREQUENT, "span F1", "all right", "Wrong, and sure of it", "BIOES"):
        assert word in page.text
    assert tag_verdict(run.evaluation) in page.text
    mistake = run.evaluation.worst[0]
    for word in mistake.words:
        assert word in page.text
    gold, found = next(p for p in zip(mistake.gold, mistake.found, strict=True) if p[0] != p[1])
    assert f"{gold} → {found}" in page.text
    assert len(without_plotly(html)) < 1_000_000


def test_plain_labels(plain_run):
    page = parsed(tag_html(plain_run))
    assert "Spans by type" not in page.headings
    assert "What follows what" not in page.headings
    assert "accuracy" in page.text


def test_names_are_shown_as_they_are(run):
    mistake = Mistake((HOSTILE,), (HOSTILE,), ("O",), 0.5, (HOSTILE, "b"))
    evaluation = replace(
        run.evaluation, worst=(mistake,), surest=(mistake,), confusions={(HOSTILE, "O"): 3},
        intent_confusions={(HOSTILE, "b"): 1}, labels={HOSTILE: 3}, types={},
    )  # fmt: skip
    html = without_plotly(
        tag_html(replace(run, title=HOSTILE, notes=[HOSTILE], evaluation=evaluation))
    )
    assert "<script>document.title" not in html
    assert parsed(html).text.count(HOSTILE) >= 6


def test_empty_cases_still_make_a_page(run, plain_run):
    for case in (
        replace(run, evaluation=None),
        replace(plain_run, evaluation=None, notes=[]),
        replace(run, history=History(), transitions=None, notes=[]),
        replace(run, evaluation=replace(run.evaluation, worst=(), surest=(), confusions={})),
    ):
        assert parsed(without_plotly(tag_html(case))).headings[-1] == "Settings"


def test_the_verdict_is_honest(run):
    def of(own, counted):
        scores = {"model": {"f1": own}, MOST_FREQUENT: {"f1": counted}}
        return tag_verdict(replace(run.evaluation, scores=scores))

    assert "reaches 90.00 % span F1 in place of 60.00 %" in of(0.9, 0.6)
    assert "75 % of its errors are gone" in of(0.9, 0.6)
    assert "does not beat" in of(0.6, 0.6)
    assert "does not beat" in of(1.0, 1.0)
    assert "nothing is known" in tag_verdict(None)


@pytest.mark.browser
@browser
def test_it_opens_in_a_browser(run, tmp_path):
    write_page(tag_html(replace(run, title=HOSTILE)), tmp_path / "r.html")
    check_in_browser(tmp_path / "r.html")
