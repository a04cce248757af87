"""The report of an inspection."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from tests.insight.inspected import ALL
from tests.insight.pages import HOSTILE, browser, check_in_browser, parsed, without_plotly

from longspan.insight import inspect
from longspan.insight.inspect_figures import by_channel, time_scales, visible
from longspan.insight.inspect_report import cards, inspect_verdict, shaded
from longspan.insight.page import write_page

SECTIONS = [
    "Advice", "How far back it remembers", "Where gradients go", "What gates do", "One sequence",
    "What the outputs come from",
]  # fmt: skip


def of(name):
    model, data, reading = ALL[name]()
    return inspect(model, data, rows=3, steps=20, **reading)


@pytest.fixture(scope="module", params=["forecaster", "classifier of texts", "tagger"])
def found(request):
    return of(request.param)


@pytest.fixture(scope="module")
def text():
    return of("language model")


def test_everything_is_there(found):
    html = found.html()
    page = parsed(html)
    assert page.headings[:6] == SECTIONS
    assert page.headings[-1] == "Settings"
    assert page.links == []
    assert inspect_verdict(found) in page.text
    for each in found.advice:
        assert each.text in page.text
        assert each.reason in page.text
    for note in (*found.notes, found.answer):
        assert note in page.text
    assert len(without_plotly(html)) < 2_000_000


def test_a_text_is_shown_as_it_is(text):
    html = without_plotly(text.html())
    assert "<b>dog" not in html
    shown = "".join(token for token, _, _ in shaded(text.attributions[0], "text"))
    assert shown == "".join(text.attributions[0].names)
    bad = replace(text.attributions[0], names=(HOSTILE,) * 20, what=HOSTILE)
    path = replace(text.trajectories[0], layer=HOSTILE, names=(HOSTILE,) * 20)
    hostile = replace(text, title=HOSTILE, attributions=(bad,), trajectories=(path,),
                      notes=(HOSTILE,), answer=HOSTILE, settings={"seed": HOSTILE})  # fmt: skip
    html = without_plotly(hostile.html())
    assert "<script>document.title" not in html
    assert parsed(html).text.count(HOSTILE) >= 20


def test_shares_have_colours_by_their_sign(text):
    own = replace(text.attributions[0], names=("a", " ", "b"), shown=np.array([2.0, 0.0, -1.0]))
    assert shaded(own, "text") == [
        ("a", "0,114,178,1.00", "+2"), (" ", "230,159,0,0.00", "+0"), ("b", "230,159,0,0.50", "-1"),
    ]  # fmt: skip
    assert shaded(own, "series") == []
    words = replace(own, names=("cat", "\n", "dog"))
    assert [token for token, _, _ in shaded(words, "text")] == ["cat ", "\n", "dog "]


def test_the_verdict_is_honest(text):
    def said(horizon=None, ablation=None, **more):
        changed = replace(text, horizon=replace(text.horizon, **(horizon or {})), **more)
        if ablation is not None:
            own = {"losses": np.array([3.0, 2.0]), "low": np.array([2.5, 2.0]),
                   "contexts": np.array([1, 8]), "horizon": 4, "gap": 1.0}  # fmt: skip
            changed = replace(changed, ablation=replace(text.ablation, **(own | ablation)))
        return inspect_verdict(changed)

    plain = {"horizon": 7, "horizon_low": 5.0, "horizon_high": 9.0, "truncated": False}
    words = said(plain, {})
    assert words == (
        "95 % of the inputs' influence on the output lies within a lag of 7 characters (95 % "
        "interval 5 to 9). Memory lowers the loss from 3 to 2; 4 characters of 8 are enough for "
        "that."
    )
    assert "not died out" in said(plain | {"truncated": True}, {})
    assert "where the sequences begin" in said(plain | {"truncated": True}, {}, whole=True)
    assert "Memory brings nothing" in said(plain, {"gap": 0.0})
    assert "is not sure" in said(plain, {"low": np.array([1.9, 2.0])})
    alone = plain | {"horizon": 1, "horizon_low": np.nan, "horizon_high": np.nan}
    assert "a lag of 1 character." in said(alone)
    assert said(plain, ahead=text.horizon).count("lag of") == 2
    assert "Memory" not in inspect_verdict(replace(text, ablation=None))


def test_cards_say_what_is_not_known(text):
    shown = {meaning: value for value, meaning in cards(text)}
    assert shown["lag that holds 95 % of the influence"].startswith(str(text.horizon.horizon))
    longer = replace(text, horizon=replace(text.horizon, truncated=True))
    assert cards(longer)[0][0].endswith("+")
    forever = replace(text.units[0], time_scales=np.full(8, np.inf))
    endless = replace(text, units=(forever,), ablation=None, gates=())
    assert ("∞", "median time scale of the units, steps") in cards(endless)
    assert "∞" in endless.html()


def test_empty_cases_still_make_a_page(text):
    for case in (
        replace(text, attributions=(), trajectories=(), notes=(), advice=(), answer=""),
        replace(text, ablation=None, units=(), gates=()),
        replace(text, units=tuple(replace(u, time_scales=None, quantiles=None)
                                  for u in text.units)),
    ):  # fmt: skip
        assert parsed(without_plotly(case.html())).headings[-1] == "Settings"


def test_tokens_below_an_axis_cannot_be_tags():
    assert visible("<b>&") == "&lt;b>&amp;"
    assert visible("x" * 30) == "x" * 23 + "…"


def test_units_that_forget_nothing_are_counted_and_not_drawn(text):
    first, second = text.units[0], replace(text.units[0], layer="other")
    some = replace(first, time_scales=np.array([np.inf, 2.0, np.inf, 8.0]))
    none = replace(second, time_scales=np.full(3, np.inf))
    made = time_scales([some, none])
    assert made.data[0].name == f"{first.layer} (∞ for 2 of 4 units)"
    assert made.data[0].y == (None, None, 8.0, 2.0)
    assert made.data[0].x == (12.5, 37.5, 62.5, 87.5)
    assert made.data[1].name == "other (∞ for 3 of 3 units)"
    assert made.data[1].y == (None,) * 3
    assert made.layout.annotations == ()
    alone = time_scales([none])
    assert alone.layout.showlegend
    assert "no unit forgets" in alone.layout.annotations[0].text
    one = time_scales([replace(first, time_scales=np.array([np.inf, 3.0]))])
    assert one.data[0].mode == "markers"
    plain = time_scales([replace(first, time_scales=np.array([1.0, 3.0]))])
    assert plain.data[0].name == first.layer
    assert plain.layout.annotations == ()


def test_channels_with_like_names_have_a_row_each():
    found = of("forecaster").attributions[0]
    names = [f"store_location_identifier = {k}" for k in "ABC"]
    names += ["<b>", *["the same long name of a channel that comes twice"] * 2]
    own = replace(found, channels=tuple(names), by_channel=np.full(6, 1.0),
                  table=np.arange(6.0)[:, None] + np.zeros((6, len(found.offsets))))  # fmt: skip
    made = by_channel(own, "step")
    assert made.data[0].y == tuple(range(6))
    assert len(made.data[0].z) == 6
    ticks = made.layout.yaxis.ticktext
    assert len(set(ticks)) == 6
    assert ticks[0].startswith("store_")
    assert "= A  17 %" in ticks[0]
    assert ticks[3].startswith("&lt;b&gt;")
    assert "(4)" in ticks[4]
    assert made.data[0].text[2][0] == names[2]
    assert made.data[0].customdata[2][0] == "2"


@pytest.mark.browser
@browser
@pytest.mark.parametrize("name", ["forecaster, encoder and decoder", "tagger"])
def test_it_opens_in_a_browser(name, tmp_path):
    write_page(replace(of(name), title=HOSTILE).html(), tmp_path / "r.html")
    check_in_browser(tmp_path / "r.html")
