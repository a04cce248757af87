"""The report of the founding experiments."""

from __future__ import annotations

from dataclasses import replace

from tests.experiments.test_table import RECORDS, SOLVED
from tests.insight.pages import HOSTILE, browser, check_in_browser, parsed, without_plotly

from longspan.experiments.table import rows
from longspan.insight import reproduce_html
from longspan.insight.reproduce_report import needed, reproduce_verdict, solved


def test_it_shows_every_row_beside_the_paper():
    page = parsed(reproduce_html(RECORDS))
    assert page.headings[:3] == ["Who solves what", "Sequences needed", "All figures"]
    for words in ("2,000 (1,000 to 3,000)", "2 of 3", "31,390 sequences", "none in 5,000",
                  "8.6 (8.5 to 8.7)", "reproduce 6a --recipe original --seeds 1"):  # fmt: skip
        assert words in page.text
    assert not [link for link in page.links if link]


def test_figures():
    found = rows(RECORDS)
    marks = {trace.name: list(trace.x) for trace in needed(found).data}
    assert marks["lstm, original"] == [31_000]
    assert sorted(marks["lstm, modern"]) == [1000, 1000, 1000, 3000]
    assert sorted(marks["the paper's mean"]) == [31_390, 853_000]
    assert "rnn, modern" not in marks
    (heat,) = solved(found).data
    place = list(heat.y).index("6a"), list(heat.x).index("lstm, modern")
    assert heat.text[place[0]][place[1]] == "2 of 3"
    assert heat.z[place[0]][place[1]] == 2 / 3
    assert "chorales" not in heat.y


def test_verdict():
    assert reproduce_verdict(rows(RECORDS)) == (
        "LSTM solves 3 of 4 experiments, counted by recipe, with at least nine seeds of ten. "
        "The simple RNN: 0 of 1."
    )
    assert "No LSTM" in reproduce_verdict(rows([replace(SOLVED, cell="rnn")]))


def test_pages_without_success_or_criterion_have_fewer_figures():
    failed = without_plotly(reproduce_html([replace(SOLVED, success=False)]))
    assert 'data-chart="solved"' in failed
    assert 'data-chart="needed"' not in failed
    scored = without_plotly(reproduce_html([replace(SOLVED, success=None, score=1.0)]))
    assert "data-chart" not in scored.split("<script>")[0]


def test_names_do_no_harm():
    html = without_plotly(reproduce_html([*RECORDS, replace(SOLVED, experiment=HOSTILE)]))
    assert "<script>document.title" not in html


@browser
def test_in_a_browser(tmp_path):
    path = tmp_path / "report.html"
    path.write_text(reproduce_html([*RECORDS, replace(SOLVED, experiment=HOSTILE)]))
    check_in_browser(path)
