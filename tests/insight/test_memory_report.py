"""Memories side by side: what the adding problem shows, and the page that shows it."""

from __future__ import annotations

import json
import runpy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.insight.pages import HOSTILE, browser, check_in_browser, parsed, without_plotly

from longspan.errors import InputError
from longspan.insight import context_ablation, gradient_flow, jacobian_influence, memory_horizon
from longspan.insight.memory_report import Memory, memory_html
from longspan.nn import LSTM, RNN

ROOT = Path(__file__).parents[2]
SETTINGS = {"seed": 0}


@pytest.fixture(scope="module")
def example():
    return runpy.run_path(str(ROOT / "examples" / "memory_horizon.py"), run_name="imported")


def memory_of(layer, x) -> Memory:
    flow = gradient_flow(layer, lambda: layer(x)[0][-1].sum())
    influence = jacobian_influence(lambda x: layer(x)[0][-1], x)
    return Memory(memory_horizon(influence), flow.layers[-1])


@pytest.fixture(scope="module")
def memories():
    torch.manual_seed(0)
    x = torch.randn(30, 4, 2)
    return {name: memory_of(layer(2, 6), x) for name, layer in (("rnn", RNN), ("lstm", LSTM))}


def test_what_learns_to_add_remembers_and_what_forgets_does_not_learn(example):
    """An LSTM whose forget gates are open holds on; a simple network cannot."""
    found = {}
    for name in ("simple RNN", "LSTM, chrono"):
        layer, options, state, rate = example["MODELS"][name]
        torch.manual_seed(0)
        model = example["Adder"](layer(2, 64, **options), 64)
        example["train"](model, 350, 40, rate, 0)
        found[name] = example["remember"](model, state, 40, 0)
    rnn, lstm = found.values()
    assert lstm.loss < 1 / 60 < 0.15 < rnn.loss
    # The first number is marked 36 to 39 steps before the end, the second 20 to 35.
    assert lstm.horizon.horizon >= 35
    assert rnn.horizon.horizon_high < 20
    assert lstm.flow.ratio > 0.1
    assert rnn.flow.ratio < 1e-4
    assert lstm.ablation.horizon >= 36


def test_the_example_draws_the_problem_of_the_paper(example):
    x, sums = example["draw"](torch.Generator().manual_seed(0), 500, 20)
    numbers, marks = x[..., 0], x[..., 1]
    assert (marks.sum(0) == 2).all()
    assert (marks[:2].sum(0) == 1).all()
    assert not marks[10:].any()
    assert numbers.min() >= 0
    assert numbers.max() < 1
    torch.testing.assert_close(sums, (numbers * marks).sum(0))
    assert (marks[2:10].sum(1) > 0).all()


def test_the_example_writes_its_page(example, tmp_path, capsys):
    found = example["main"](tmp_path / "page.html", length=12, steps=2)
    page = parsed((tmp_path / "page.html").read_text())
    printed = capsys.readouterr().out
    for name, memory in found.items():
        assert name in page.text
        assert f"{name:24} error {memory.loss:.4f}" in printed
    assert json.loads(json.dumps(memory.to_dict()))["horizon"]["share"] == 0.95


def test_everything_is_there(memories):
    html = memory_html("Title", "Verdict.", memories, SETTINGS)
    page = parsed(html)
    assert page.headings == [
        "In numbers", "What an output depends on", "What learning can reach", "Settings",
    ]  # fmt: skip
    assert page.links == []
    assert "Title" in page.text
    assert "Verdict." in page.text
    assert str(memories["rnn"].horizon.horizon) in page.text
    with_context = {
        "one": replace(
            memories["rnn"], loss=0.25, ablation=context_ablation(lambda k: torch.ones(3), [1, 2])
        )
    }
    page = parsed(memory_html("Title", "Verdict.", with_context, SETTINGS))
    assert "What memory is worth" in page.headings
    assert "0.25" in page.text
    assert "none" in page.text


def test_names_are_shown_as_they_are(memories):
    html = memory_html(HOSTILE, HOSTILE, {HOSTILE: memories["rnn"]}, SETTINGS | {"x": HOSTILE})
    assert "<script>document.title" not in without_plotly(html)
    assert parsed(html).text.count(HOSTILE) >= 3


def test_what_is_not_known_is_not_shown():
    """Of one row there is no interval, of one step no decay, of no influence no share."""
    layer = RNN(2, 3)
    single = memory_of(layer, torch.zeros(1, 1, 2))
    silent = Memory(memory_horizon(np.zeros((1, 5))), memory_of(layer, torch.zeros(3, 1, 2)).flow)
    for memory in (single, silent):
        html = without_plotly(memory_html("T", "V", {"one": memory}, SETTINGS))
        assert "–" in parsed(html).text
        assert "nan" not in html.lower()


def test_nothing_to_compare_is_said():
    with pytest.raises(InputError, match="at least one model's memory"):
        memory_html("T", "V", {}, SETTINGS)


@pytest.mark.browser
@browser
def test_it_opens_in_a_browser(memories, tmp_path):
    ablation = context_ablation(lambda k: torch.ones(3) / k, [1, 2])
    shown = {HOSTILE: replace(memories["rnn"], ablation=ablation), **memories}
    path = tmp_path / "page.html"
    path.write_text(memory_html(HOSTILE, HOSTILE, shown, SETTINGS))
    check_in_browser(path)
