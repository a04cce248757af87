"""The report of a language model."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from tests.insight.pages import HOSTILE, browser, check_in_browser, parsed, without_plotly

from longspan import LanguageModel
from longspan.insight import language_html
from longspan.insight.language_report import language_verdict, shaded
from longspan.insight.page import write_page
from longspan.training import History

TEXT = "the cat sat on the mat.\nthe <b>dog</b> ate &amp; food!\n" * 30


@pytest.fixture(scope="module", params=["characters", "words"])
def run(request):
    model = LanguageModel(
        tokens=request.param, hidden_size=8, num_layers=1, max_epochs=2, bptt_length=10
    )
    return model.fit(TEXT, test_share=0.2).run_


def test_everything_is_there(run):
    html = language_html(run)
    page = parsed(html)
    assert page.headings[:5] == [
        "Against the baselines", "What surprised it", "Frequent and rare tokens", "What it writes",
        "The text",
    ]  # fmt: skip
    assert page.headings[-2:] == ["Training", "Settings"]
    assert page.links == []
    for word in ("Kneser-Ney", "unigram", "perplexity", "bptt_length", "The text is short"):
        assert word in page.text
    assert language_verdict(run.evaluation) in page.text
    for text in run.samples.values():
        assert text in page.text
    assert len(without_plotly(html)) < 1_000_000


def test_a_text_is_shown_as_it_is(run):
    html = without_plotly(language_html(run))
    assert "<b>dog" not in html
    shown = "".join(token for token, _, _ in shaded(run.evaluation))
    assert "mat.\nthe <b>dog</b> ate &amp; food!\nthe cat" in shown.replace(" \n", "\n")
    bad = replace(
        run, title=HOSTILE, samples={HOSTILE: HOSTILE}, notes=[HOSTILE], settings={"seed": HOSTILE},
        evaluation=replace(run.evaluation, passage=(HOSTILE,), bits=np.array([99.0])),
    )  # fmt: skip
    html = without_plotly(language_html(bad))
    assert "<script>document.title" not in html
    assert parsed(html).text.count(HOSTILE) >= 5


def test_empty_cases_still_make_a_page(run):
    for case in (
        replace(run, evaluation=None),
        replace(run, history=History(), samples={}, notes=[]),
        replace(run, evaluation=replace(run.evaluation, passage=(), bits=np.zeros(0), bands=())),
    ):
        assert parsed(without_plotly(language_html(case))).headings[-1] == "Settings"


def test_the_verdict_is_honest(run):
    def of(model, counted):
        scores = {"model": {"cross_entropy": model}, "3-gram": {"cross_entropy": counted},
                  "unigram": {"cross_entropy": 9.0}}  # fmt: skip
        return language_verdict(replace(run.evaluation, scores=scores))

    assert "needs 25.0 % fewer bits" in of(3.0, 4.0)
    assert "(3-gram)" in of(3.0, 4.0)
    assert "does not beat" in of(5.0, 4.0)
    assert "25.0 % more" in of(5.0, 4.0)
    assert "nothing is known" in language_verdict(None)


@pytest.mark.browser
@browser
def test_it_opens_in_a_browser(run, tmp_path):
    write_page(language_html(replace(run, title=HOSTILE)), tmp_path / "r.html")
    check_in_browser(tmp_path / "r.html")
