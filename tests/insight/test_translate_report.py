"""The report of a translator."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from tests.insight.pages import HOSTILE, browser, check_in_browser, parsed, without_plotly

from longspan import Translator
from longspan.insight import translate_html
from longspan.insight.page import write_page
from longspan.insight.translate_report import attention, groups, translate_verdict
from longspan.tasks.translate.results import Alignment
from longspan.training import History

PAIRS = [(f"a{k % 7} <b> b{k % 5} c{k % 3}", f"x{k % 7} &amp; y{k % 5}") for k in range(105)]


@pytest.fixture(scope="module", params=["general", "none"])
def run(request):
    model = Translator(
        hidden_size=16,
        embedding_size=8,
        max_epochs=9,
        batch_size=8,
        min_count=1,
        attention=request.param,
        learning_rate=0.02,
    )
    return model.fit([*PAIRS, ("", "x")], test_share=0.2).run_


def test_everything_is_there(run):
    html = translate_html(run)
    page = parsed(html)
    looks = ["Where it looks"] if run.settings["attention"] != "none" else []
    assert page.headings == [
        "Against the baselines", *looks, "Best and worst", "Short and long sources", "The data",
        "Training", "Settings",
    ]  # fmt: skip
    assert page.links == []
    for word in ("nearest training pair", "BLEU", "beam_size", "1 pairs with an empty side"):
        assert word in page.text
    assert translate_verdict(run.evaluation) in page.text
    assert len(run.alignments) == (0 if run.settings["attention"] == "none" else 8)
    assert len(without_plotly(html)) < 1_000_000


def test_texts_are_shown_as_they_are(run):
    html = without_plotly(translate_html(run))
    assert "<b> b" not in html
    hostile = replace(run.evaluation.examples[0], source=HOSTILE, reference=HOSTILE, output=HOSTILE)
    looked = Alignment((HOSTILE, "⏹"), (HOSTILE,), np.array([[0.5, 0.5]]))
    bad = replace(
        run, title=HOSTILE, notes=[HOSTILE], settings={"seed": HOSTILE},
        alignments={HOSTILE: looked, "other": looked},
        evaluation=replace(run.evaluation, examples=(hostile,) * 2, signature=HOSTILE),
    )  # fmt: skip
    html = without_plotly(translate_html(bad))
    assert "<script>document.title" not in html
    assert parsed(html).text.count(HOSTILE) >= 5


def test_the_picture_of_attention():
    weights = np.array([[0.9, 0.1, 0.0], [0.2, 0.3, 0.5]])
    made = attention(Alignment(("a", "a", "⏹"), ("<x>", "⏹"), weights))
    trace = made.data[0]
    assert [list(row) for row in trace.z] == weights.tolist()
    assert trace.customdata[1][2] == "⏹ ← ⏹"
    assert list(made.layout.xaxis.ticktext) == ["a", "a", "⏹"]
    assert list(made.layout.yaxis.ticktext) == ["&lt;x&gt;", "⏹"]
    assert made.layout.yaxis.autorange == "reversed"


def test_best_and_worst(run):
    found = groups(run.evaluation)
    best, worst = ([e.chrf for e in found[name]] for name in ("Best", "Worst"))
    assert best == sorted(best, reverse=True)
    assert worst == sorted(worst)
    assert min(best) >= max(worst)
    every = [e.chrf for e in run.evaluation.examples]
    assert (best[0], worst[0]) == (max(every), min(every))


def test_empty_cases_still_make_a_page(run):
    for case in (
        replace(run, evaluation=None, alignments={}),
        replace(run, history=History(), notes=[]),
        replace(run, evaluation=replace(run.evaluation, examples=())),
    ):
        assert parsed(without_plotly(translate_html(case))).headings[-1] == "Settings"


def test_the_verdict_is_honest(run):
    def of(model, **others):
        scores = {"model": {"chrf": model}} | {name: {"chrf": v} for name, v in others.items()}
        return translate_verdict(replace(run.evaluation, scores=scores))

    assert of(50.0, copy=10.0, near=40.0) == (
        "The network reaches chrF 50.0, the best baseline (near) 40.0."
    )
    assert "does not beat the best baseline (copy)" in of(5.0, copy=10.0)
    assert of(5.0) == "The network reaches chrF 5.0."
    assert "nothing is known" in translate_verdict(None)


@pytest.mark.browser
@browser
def test_it_opens_in_a_browser(run, tmp_path):
    write_page(translate_html(replace(run, title=HOSTILE)), tmp_path / "r.html")
    check_in_browser(tmp_path / "r.html")
