"""Tables become regular panels; whatever is odd is noted, whatever is wrong is refused."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from longspan.data import Frequency, Schema, WindowRange, build_panel, gather, read_table
from longspan.data.frequency import infer_frequency
from longspan.data.prepare import resolve_schema
from longspan.errors import InputError

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data" / "forecasting"


def panel_of(table, **roles):
    table = read_table(table)
    return build_panel(table, resolve_schema(table, **roles))


def hourly(n=10, start="2024-01-01"):
    first = dt.datetime.fromisoformat(start)
    return [first + dt.timedelta(hours=k) for k in range(n)]


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        (pd.date_range("2024-01-01", periods=50, freq="h"), "1h"),
        (pd.date_range("2024-01-01", periods=50, freq="15min"), "15m"),
        (pd.date_range("2024-02-20", periods=50, freq="D"), "1d"),
        (pd.bdate_range("2024-01-01", periods=50), "1b"),
        (pd.date_range("2024-01-03", periods=50, freq="W-WED"), "1w"),
        (pd.date_range("2023-01-01", periods=30, freq="MS"), "1mo"),
        (pd.date_range("2023-01-31", periods=30, freq="ME"), "1mo"),
        (pd.date_range("2023-02-28", periods=30, freq="ME"), "1mo"),
        (pd.date_range("2023-04-30", periods=30, freq="ME"), "1mo"),
        (pd.date_range("2000-06-30", periods=30, freq="QE"), "1q"),
        (pd.date_range("2000-01-01", periods=30, freq="QS"), "3mo"),
        (pd.date_range("1990-01-01", periods=30, freq="YS"), "1y"),
        (pd.date_range("1990-12-31", periods=30, freq="YE"), "1y"),
        (np.arange(5, 100, 5), "5step"),
    ],
)
def test_frequencies_are_inferred_and_go_on(times, expected):
    values = np.asarray(times)
    if values.dtype.kind == "M":
        values = values.astype("datetime64[us]")
    frequency = infer_frequency(values[:-5])
    assert str(frequency) == expected
    assert Frequency.parse(str(frequency)) == frequency
    index = frequency.index(values)
    if expected == "1mo" and values[0].astype(str).startswith("2023-01-31"):
        np.testing.assert_allclose(np.diff(index), 1.0, atol=0.13)
    again = frequency.at(index[0] + np.arange(len(values)))
    assert (again == values).all()


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        (pd.date_range("2020-01-31", periods=40, freq="ME"), "1mo"),
        (pd.date_range("2020-01-15", periods=40, freq="MS") + pd.Timedelta(days=14), "1mo"),
        (pd.date_range("2000-06-30", periods=40, freq="QE"), "3mo"),
    ],
)
def test_months_that_are_missing_do_not_hide_the_frequency(times, expected):
    values = np.asarray(times.delete([7, 20, 21])).astype("datetime64[us]")
    table = pl.DataFrame({"time": values, "y": np.arange(len(values), dtype=float)})
    panel, schema = panel_of(table)
    assert schema.frequency == expected
    assert panel.lengths.tolist() == [40]
    again = panel.times(0, 0, 40)
    assert (again == np.asarray(times).astype("datetime64[us]")).all()


def test_calendar_features_are_periodic_and_bounded():
    times = hourly(24 * 8)
    features = Frequency.parse("1h").calendar(np.array(times, "datetime64[us]"))
    assert features.shape == (24 * 8, 6)
    assert np.abs(features).max() <= 1.0
    np.testing.assert_allclose(features[:24, :2], features[24:48, :2], atol=1e-6)
    np.testing.assert_allclose(features[:24, 2:4], features[168:192, 2:4], atol=1e-6)
    assert list(Frequency.parse("1d").cycles()) == ["week", "year"]
    assert Frequency.parse("5step").calendar(np.arange(3)).shape == (3, 0)
    assert Frequency.parse("30m").seasons() == (48, 336)
    assert Frequency.parse("1mo").seasons() == (12,)


@settings(deadline=None, max_examples=30)
@given(st.randoms(use_true_random=False), st.integers(1, 4), st.integers(2, 40))
def test_order_of_rows_does_not_matter(random, series, steps):
    rows = [
        (f"s{k}", hourly(steps)[t], float(random.random()))
        for k in range(series)
        for t in range(steps)
        if t in (0, steps - 1) or steps < 6 or random.random() > 0.1
    ]
    table = pl.DataFrame(rows, schema=["id", "time", "y"], orient="row")
    shuffled = list(rows)
    random.shuffle(shuffled)
    # Series come in order of appearance, so each one's first row is put in front.
    front = [next(r for r in rows if r[0] == f"s{k}") for k in range(series)]
    other = pl.DataFrame(
        front + [r for r in shuffled if r not in front], table.schema, orient="row"
    )
    a, _ = panel_of(table, target="y", time="time", id="id", frequency="1h")
    b, _ = panel_of(other, target="y", time="time", id="id", frequency="1h")
    assert a.ids == b.ids
    torch.testing.assert_close(a.target, b.target, equal_nan=True)
    assert (a.first == b.first).all()
    assert (a.stop == b.stop).all()


def test_gaps_duplicates_and_missing_values_follow_the_stated_rules():
    times = hourly(12)
    table = pl.DataFrame(
        {
            "time": [times[k] for k in (0, 1, 1, 3, 4, *range(5, 12))],
            "y": [1.0, 2.0, 4.0, 7.0, None, *map(float, range(5, 12))],
        }
    )
    panel, schema = panel_of(table)
    expected = [1.0, 3.0, np.nan, 7.0, np.nan, *range(5, 12)]
    np.testing.assert_array_equal(panel.values(0), expected)
    assert schema.frequency == "1h"
    notes = " ".join(panel.notes)
    assert "1 rows repeat the time" in notes
    assert "1 rows were missing" in notes
    assert "2 of 12 values are missing" in notes


def test_leading_and_trailing_missing_values_are_cut_off():
    panel, _ = panel_of(pl.DataFrame({"y": [None, 1.0, 2.0, None, 3.0, None]}))
    np.testing.assert_array_equal(panel.values(0), [1.0, 2.0, np.nan, 3.0])
    assert panel.times(0, 0, 2).tolist() == [1, 2]


def test_rows_after_the_target_are_future_covariates():
    table = pl.DataFrame(
        {"time": hourly(5), "y": [1.0, 2.0, 3.0, None, None], "price": [1.0, 2.0, 3.0, 4.0, 5.0]}
    )
    panel, _ = panel_of(table, target="y", future_covariates=["price"])
    assert panel.stop[0] == 3
    assert panel.row_stop[0] == 5
    windows = gather(panel, panel.calendar(2), np.array([0]), panel.stop, 2, 2)
    assert windows.future[0, :, 0].tolist() == [2.0, 3.0, 4.0, 5.0]
    assert windows.actual.isnan().all()


def test_text_covariates_become_inputs_and_unknown_values_zeros():
    table = pl.DataFrame(
        {"id": ["a", "a", "b", "b"], "y": [1.0, 2.0, 3.0, 4.0], "kind": ["x", "x", "z", "z"],
         "open": [True, False, True, True]}
    )  # fmt: skip
    roles = {"target": "y", "id": "id", "static_covariates": ["kind"], "past_covariates": ["open"]}
    panel, schema = panel_of(table, **roles)
    assert panel.static.tolist() == [[1.0, 0.0], [0.0, 1.0]]
    assert panel.past[:, 1].tolist() == [1.0, 0.0, 1.0, 1.0]
    other = table.with_columns(kind=pl.lit("new"))
    again, _ = build_panel(other, Schema.from_dict(schema.to_dict()))
    assert not again.static.any()


@pytest.mark.parametrize("past", [[True, False], ["True", "False"], ["true", "false"]])
def test_yes_and_no_are_the_same_in_any_form(past):
    roles = {"target": "y", "past_covariates": ["open"]}
    expected, schema = panel_of(pl.DataFrame({"y": [1.0, 2.0], "open": past}), **roles)
    assert expected.past.tolist() == [[0.0, 1.0], [1.0, 0.0]]
    for form in ([True, False], ["True", "False"], ["true", "false"], [1, 0]):
        again, _ = build_panel(pl.DataFrame({"y": [1.0, 2.0], "open": form}), schema)
        assert torch.equal(again.past, expected.past)


def test_all_kinds_of_tables_give_the_same_panel(tmp_path):
    table = pl.DataFrame({"time": hourly(5), "a": np.arange(5.0), "b": np.arange(5.0) ** 2})
    table.write_csv(tmp_path / "t.csv")
    table.write_parquet(tmp_path / "t.parquet")
    expected, _ = panel_of(table)
    assert expected.ids == ("a", "b")
    for source in (
        tmp_path / "t.csv",
        str(tmp_path / "t.parquet"),
        table.to_pandas(),
        table.lazy(),
    ):
        panel, _ = panel_of(source)
        assert torch.equal(panel.target, expected.target)
        assert (panel.times(1, 0, 5) == expected.times(1, 0, 5)).all()
    indexed = table.to_pandas().set_index("time")
    for source in (indexed, indexed.rename_axis(None)):
        panel, schema = panel_of(source)
        assert schema.time == "time"
        assert torch.equal(panel.target, expected.target)
    one, schema = panel_of(indexed["a"])
    assert (one.ids, schema.time) == (("a",), "time")
    array, _ = panel_of(table.select("a", "b").to_numpy())
    assert torch.equal(array.target, expected.target)
    assert array.ids == ("series_0", "series_1")


def test_times_with_a_zone_are_used_as_utc(tmp_path):
    (tmp_path / "t.csv").write_text(
        "time,y\n2024-03-31T00:00:00+01:00,1\n2024-03-31T01:00:00+01:00,2\n"
        "2024-03-31T03:00:00+02:00,3\n"
    )
    panel, _ = panel_of(tmp_path / "t.csv")
    assert panel.lengths.tolist() == [3]
    assert str(panel.times(0, 0, 1)[0]).startswith("2024-03-30T23:00")
    assert any("UTC" in note for note in panel.notes)


@pytest.mark.parametrize("zone", ["Z", "+02:00", "+0200", "-05"])
@pytest.mark.parametrize("form", ["%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M:%S.000"])
def test_zones_of_any_form_are_read(form, zone):
    table = pl.DataFrame({"at": [t.strftime(form) + zone for t in hourly(5)], "y": range(5)})
    panel, schema = panel_of(table)
    assert (schema.time, schema.frequency) == ("at", "1h")
    ahead = {"Z": 0, "+02:00": 2, "+0200": 2, "-05": -5}[zone]
    assert panel.times(0, 0, 1)[0] == np.datetime64("2024-01-01") - np.timedelta64(ahead, "h")


@pytest.mark.parametrize("as_text", [False, True])
def test_days_of_a_zone_are_not_moved_by_summer_time(as_text):
    days = pd.date_range("2024-03-01", periods=60, freq="D", tz="Europe/Berlin")
    panel, schema = panel_of(
        pl.DataFrame({"day": map(str, days) if as_text else days, "y": range(60)})
    )
    assert schema.frequency == "1d"
    assert panel.lengths.tolist() == [60]
    assert panel.times(0, 59, 60)[0] == np.datetime64("2024-04-29")


@pytest.mark.parametrize("kind", [pl.Int64, pl.Float64, pl.String])
def test_numbers_like_20240131_are_dates(kind):
    days = [int(t.strftime("%Y%m%d")) for t in pd.date_range("2024-01-20", periods=50)]
    table = pl.DataFrame({"date": pl.Series(days).cast(kind), "y": range(50)})
    panel, schema = panel_of(table, target="y")
    assert schema.frequency == "1d"
    assert panel.lengths.tolist() == [50]
    counted, _ = panel_of(
        pl.DataFrame({"date": range(20240120, 20240170), "y": range(50)}), target="y"
    )
    assert counted.times(0, 0, 1)[0] == 20240120


@pytest.mark.parametrize(
    ("form", "start", "frequency", "count"),
    [
        ("%d/%m/%Y", "2024-01-20", "D", 40),  # only days go beyond 12
        ("%m/%d/%Y", "2024-01-20", "D", 40),
        ("%m/%d/%Y", "2024-01-01", "MS", 12),  # with the day first, the gap after 12 is longer
        ("%d/%m/%Y", "2024-01-01", "MS", 30),
        ("%d/%m/%Y %H:%M", "2024-01-03", "h", 100),
        ("%m/%d/%Y %H:%M:%S", "2024-01-03", "h", 100),
    ],
)
def test_month_or_day_may_come_first(form, start, frequency, count):
    days = pd.date_range(start, periods=count, freq=frequency)
    texts = days.strftime(form).tolist()
    if frequency == "MS" and form.startswith("%m"):
        texts, days = [*texts, "01/01/2025"], [*days, pd.Timestamp("2025-01-01")]
    panel, _ = panel_of(pl.DataFrame({"day": texts, "y": range(len(texts))}), target="y")
    assert panel.lengths.tolist() == [len(texts)]
    assert panel.times(0, 0, len(texts)).tolist() == np.array(days, "datetime64[us]").tolist()


BAD = {
    "can be read with the month or with the day first": (
        {"date": ["01/02/2024", "02/02/2024", "03/02/2024"], "y": [1.0, 2.0, 3.0]},
        {"target": "y"},
    ),
    "Did you mean 'sales'": ({"sales": [1.0, 2.0]}, {"target": "sale"}),
    "Unknown column for `past_covariates` 'rain'": (
        {"y": [1.0, 2.0]},
        {"past_covariates": ["rain"]},
    ),
    r"must be numeric, got 'x' in row 1": ({"y": ["1", "x", "3"]}, {"target": "y"}),
    "infinite values": ({"y": [1.0, float("inf")]}, {"target": "y"}),
    "is missing. Check": ({"y": [None, None]}, {"target": "y"}),
    "holds numbers as text": ({"y": ["1", "2"]}, {"target": "y"}),
    r"cannot be read as dates: 'soon' in row 1": (
        {"date": ["2024-01-01", "soon"], "y": [1.0, 2.0]},
        {"target": "y"},
    ),
    "1 missing times": ({"date": ["2024-01-01", None], "y": [1.0, 2.0]}, {"target": "y"}),
    "1 missing ids": ({"id": ["a", None], "y": [1.0, 2.0]}, {"target": "y", "id": "id"}),
    "Time is not regular": (
        {"time": [0, 10, 20, 27, 37], "y": [1.0] * 5},
        {"target": "y", "time": "time"},
    ),
    "All series must have one frequency": (
        {"id": list("aaabbb"), "time": [0, 1, 2, 0, 5, 10], "y": [1.0] * 6},
        {"target": "y", "time": "time", "id": "id"},
    ),
    "must be constant within a series": (
        {"id": list("aabb"), "y": [1.0] * 4, "s": [1.0, 2.0, 3.0, 3.0]},
        {"target": "y", "id": "id", "static_covariates": ["s"]},
    ),
    "No series has two rows": ({"id": ["a", "b"], "y": [1.0, 2.0]}, {"target": "y", "id": "id"}),
    "named more than once": ({"y": [1.0, 2.0]}, {"target": "y", "past_covariates": ["y"]}),
    "No numeric column": ({"y": ["a", "b"]}, {}),
    "'y' would be one but for '-' in row 1": ({"y": ["1", "-", "3"]}, {}),
    "'y' would be one but for ' 1' in row 0": ({"y": [" 1", " 2", " 3"]}, {}),
    "need an `id` column": ({"y": [1.0], "s": [1]}, {"target": "y", "static_covariates": ["s"]}),
    "`frequency` must be a number and a unit": (
        {"y": [1.0, 2.0]},
        {"target": "y", "frequency": "often"},
    ),
    "seems to hold several series": (
        {"time": [0, 0, 1, 1, 2, 2], "y": [1.0, 5.0, 2.0, 6.0, 3.0, 7.0]},
        {"target": "y", "time": "time"},
    ),
    "reaches from 0001-01-01.* Correct a time that is wrong": (
        {
            "time": [dt.datetime(1, 1, 1), *(dt.datetime(2024, 1, 1, 0, k) for k in range(9))],
            "y": [float(k) for k in range(10)],
        },
        {"target": "y"},
    ),
    "needs times that are dates": ({"y": [1.0, 2.0]}, {"target": "y", "frequency": "1h"}),
}


@pytest.mark.parametrize("message", BAD)
def test_bad_tables_say_what_is_wrong(message):
    columns, roles = BAD[message]
    with pytest.raises(InputError, match=message):
        panel_of(pl.DataFrame(columns), **roles)


def test_a_file_with_an_empty_target_says_that_it_has_no_values(tmp_path):
    (tmp_path / "t.csv").write_text("step,y\n0,\n1,\n2,\n")
    with pytest.raises(InputError, match="Every value of the target 'y' is missing"):
        panel_of(tmp_path / "t.csv", target="y", time="step")
    (tmp_path / "two.csv").write_text("step,y,z\n0,,1\n1,,2\n2,,3\n")
    panel, _ = panel_of(tmp_path / "two.csv", target=["y", "z"], time="step")
    assert panel.ids == ("z",)
    assert any("no observed value" in note for note in panel.notes)


def test_bad_sources_say_what_is_needed(tmp_path):
    (tmp_path / "empty.csv").write_text("")
    (tmp_path / "header.csv").write_text("a,b\n")
    (tmp_path / "binary.csv").write_bytes(b"\xff\xfe\x00a\x80,\n\x81")
    (tmp_path / "ragged.csv").write_text("a,b\n1,2\n1,2,3,4\n")
    (tmp_path / "bad.parquet").write_bytes(b"no parquet")
    for name in ("empty.csv", "header.csv", "binary.csv", "ragged.csv", "bad.parquet", "none.csv"):
        with pytest.raises(InputError):
            read_table(tmp_path / name)
    for sign in (";", "\t"):
        (tmp_path / "other.csv").write_text(f"a{sign}b\n1{sign}2\n")
        with pytest.raises(InputError, match="between its columns"):
            read_table(tmp_path / "other.csv")
    with pytest.raises(InputError, match=r"several are called \['y'\]"):
        read_table(pd.DataFrame([[1.0, 2.0]], columns=["y", "y"]))
    for source in (np.zeros((2, 2, 2)), np.array(["a"]), 5, {"a": [1]}):
        with pytest.raises(InputError):
            read_table(source)


@settings(deadline=None, max_examples=40)
@given(st.data())
def test_windows_equal_slices_and_show_nothing_after_the_end(data):
    lengths = data.draw(st.lists(st.integers(2, 12), min_size=1, max_size=4))
    table = pl.concat(
        pl.DataFrame({"id": f"s{k}", "y": np.random.default_rng(k).normal(size=n)})
        for k, n in enumerate(lengths)
    )
    panel, _ = panel_of(table, target="y", id="id")
    stop = panel.first + np.array([data.draw(st.integers(1, n)) for n in lengths])
    view = panel.until(stop)
    before, after = data.draw(st.integers(1, 6)), data.draw(st.integers(1, 4))
    origins = WindowRange.between(panel.first, panel.stop, data.draw(st.integers(1, 3)))
    series, origin = origins.all()
    assert len(series) == sum(n // origins.stride + 1 for n in lengths)
    windows = gather(view, view.calendar(after), series, origin, before, after)
    for row, (s, o) in enumerate(zip(series, origin, strict=True)):
        whole = np.full(before + after, np.nan, np.float32)
        for j, step in enumerate(range(o - before, o + after)):
            if panel.first[s] <= step < stop[s]:
                whole[j] = panel.target[step]
        np.testing.assert_array_equal(windows.context[row].numpy(), whole[:before])
        np.testing.assert_array_equal(windows.actual[row].numpy(), whole[before:])
    assert view.target.data_ptr() == panel.target.data_ptr()


@pytest.mark.skipif(not SHARED.exists(), reason="needs the public data sets in ../shared/data")
def test_real_files_are_understood():
    panel, schema = panel_of(SHARED / "pjm_hourly_energy" / "AEP_hourly.csv")
    assert schema.frequency == "1h"
    assert panel.lengths[0] == 121296
    assert any("sorted" in note for note in panel.notes)
    assert any("4 rows repeat" in note for note in panel.notes)
    panel, schema = panel_of(SHARED / "ETTh1" / "ETTh1.csv")
    assert len(panel) == 7
    panel, schema = panel_of(SHARED / "classic_small" / "airline-passengers.csv")
    assert schema.frequency == "1mo"
