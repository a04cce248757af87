"""The report of features."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from tests.insight.pages import HOSTILE, browser, check_in_browser, parsed, without_plotly

from longspan import SequenceFeatures
from longspan.insight import features_html
from longspan.insight.features_report import COLORS, features_verdict, picture
from longspan.insight.page import write_page
from longspan.tasks.classify.reconstruction import Picture, Reconstruction
from longspan.training import History

RNG = np.random.default_rng(0)
DATA = {
    "series": RNG.normal(size=(60, 9, 2)),
    "text": [f"{'good' if k % 3 else '<b>bad</b>'} word{k % 4}" for k in range(60)],
    "image": RNG.integers(0, 255, (60, 4, 3, 3)).astype(np.uint8),
}


@pytest.fixture(scope="module", params=DATA)
def run(request):
    model = SequenceFeatures(hidden_size=4, max_epochs=2, embedding_size=4)
    return model.fit(DATA[request.param], test_share=0.5).run_


def scored(own, usual):
    return Reconstruction({"model": {"error": own}, "mean": {"error": usual}}, 10)


def test_everything_is_there(run):
    html = features_html(run)
    page = parsed(html)
    assert page.headings == [
        "What the vectors hold", "The vectors", "The data", "Training", "Settings",
    ]  # fmt: skip
    assert page.links == []
    for word in ("30 sequences that the network did not see", "numbers of a vector", "hidden_size"):
        assert word in page.text
    assert features_verdict(run.evaluation, run.kind) in page.text
    assert "Colours are the labels" not in page.text
    assert len(without_plotly(html)) < 1_000_000


def test_parts_that_are_missing_are_left_out(run):
    page = parsed(features_html(replace(run, evaluation=None, history=History(), notes=[])))
    assert page.headings == ["The vectors", "Settings"]
    assert "nothing is known" in page.text


def test_names_are_shown_as_they_are(run):
    labelled = replace(run.picture, labels=(HOSTILE,) * len(run.picture.points))
    made = features_html(replace(run, title=HOSTILE, picture=labelled))
    html = without_plotly(made)
    assert "<script>document.title" not in html
    assert HOSTILE in parsed(made).text
    assert picture(replace(run.picture, labels=("<b>x</b>",) * 30)).data[0].name == (
        "&lt;b&gt;x&lt;/b&gt;"
    )
    assert "Colours are the labels" in parsed(html).text


def test_the_most_frequent_labels_have_colours():
    labels = tuple(str(k) for k in range(12) for _ in range(20 - k))
    made = picture(Picture(RNG.normal(size=(len(labels), 2)), (0.6, 0.3), labels))
    names = [trace.name for trace in made.data]
    assert names == [*map(str, range(len(COLORS) - 1)), "5 others"]
    assert sum(len(trace.x) for trace in made.data) == len(labels)
    assert "60 %" in made.layout.xaxis.title.text


def test_verdicts():
    assert "hold 75 % of the variance" in features_verdict(scored(0.25, 1.0), "series")
    assert "7.4 tokens" in features_verdict(scored(2.0, 3.0), "text")
    assert "no more than the mean" in features_verdict(scored(1.0, 1.0), "series")
    assert "nothing is known" in features_verdict(None, "text")


@pytest.mark.browser
@browser
def test_it_opens_in_a_browser(run, tmp_path):
    write_page(features_html(replace(run, title=HOSTILE)), tmp_path / "r.html")
    check_in_browser(tmp_path / "r.html")
