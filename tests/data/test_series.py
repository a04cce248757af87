"""Labelled sequences from arrays, archives, tables and files of texts."""

from __future__ import annotations

import gzip
import json

import numpy as np
import pandas as pd
import polars as pl
import pytest

from longspan.data.labelled import read_labelled
from longspan.data.series import as_series
from longspan.errors import InputError


def test_arrays_and_lists():
    whole = np.arange(12.0).reshape(2, 3, 2)
    for data in (whole, whole.tolist(), [whole[0], whole[1]]):
        found = as_series(data)
        assert [each.dtype for each in found] == [np.float64] * 2
        np.testing.assert_array_equal(np.stack(found), whole)
    ragged = as_series([np.ones((3, 2)), np.zeros((1, 2))])
    assert [each.shape for each in ragged] == [(3, 2), (1, 2)]
    assert [each.shape for each in as_series(np.ones((2, 4), bool))] == [(4, 1)] * 2
    assert as_series([[1], [2]])[1].shape == (1, 1)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ([[1.0, 2.0], [1.0, np.nan]], "NaN: sequence 1, step 1, channel 0"),
        (
            [np.ones((3, 2)), np.array([[1, 2], [3, np.inf]])],
            "infinity.*sequence 1, step 1, ch.* 1",
        ),
        (np.full((2, 2), 1e39), "beyond float32: sequence 0, step 0"),
        ([np.ones((3, 2)), np.ones((3, 1))], "Sequence 1 has 1 channels and sequence 0 has 2"),
        ([np.ones(3), np.ones(0)], "Sequence 1 must have at least one step"),
        ([np.ones(3), 4.0], "must be an array"),
        ([np.ones((3, 1)), np.ones((2, 1, 1))], "Sequence 1 must have"),
        ([], "must be an array"),
        (np.ones(3), "reshape"),
        (np.ones((2, 0)), "0 feature"),
        (np.ones((0, 2)), "at least one sequence"),
        (np.ones((2, 2), complex), "Complex"),
        ([["a", "b"]], "must hold numbers"),
    ],
)
def test_bad_arrays(data, message):
    with pytest.raises(InputError, match=message):
        as_series(data)


TS = """# a comment
@problemName Walks
@timeStamps false
@univariate false
@classLabel true walk run
@data
1,2,3:4,5,6:walk

1,?:2,3:run
"""


def test_ts_files(tmp_path):
    path = tmp_path / "walks.ts"
    path.write_text(TS)
    found = read_labelled(path)
    assert found.labels.tolist() == ["walk", "run"]
    np.testing.assert_array_equal(found.sequences[0], [[1, 4], [2, 5], [3, 6]])
    assert np.isnan(found.sequences[1][1, 0])
    path.write_text("1,2:a\n3:b\n")  # as some copies are: no header
    assert [len(each) for each in read_labelled(path).sequences] == [2, 1]
    path.write_text("@classLabel false\n@data\n1,2:3,4\n")
    assert read_labelled(path, need_labels=False).sequences[0].shape == (2, 2)
    with pytest.raises(InputError, match="labels are needed"):
        read_labelled(path)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("1,2,x:4,5,6:walk", r"walks.ts, line 10: value 2 .* is 'x'"),
        ("1,2,3:4,5:walk", r"line 10: channels of \[2, 3\] values"),
        ("1,2,3:walk", r"line 10: 1 channels, and 2"),
        ("1,2,3", "line 10: no label"),
        ("1,2:1,2:", "line 10: no label"),
        (",:1,2:walk", "line 10: value 0"),
    ],
)
def test_malformed_ts_lines(line, message, tmp_path):
    path = tmp_path / "walks.ts"
    path.write_text(TS + line + "\n")
    with pytest.raises(InputError, match=message):
        read_labelled(path)


def test_ts_files_that_cannot_be_read(tmp_path):
    path = tmp_path / "walks.ts"
    for text, message in (
        ("@timestamps true\n@data\n(1,2):a\n", "line 1.*not supported"),
        ("@targetlabel true\n@data\n1,2:0.5\n", "line 1.*not supported"),
        ("@data\n", "holds no sequence"),
    ):
        path.write_text(text)
        with pytest.raises(InputError, match=message):
            read_labelled(path)
    path.write_bytes(b"# ok\n1,2:caf\xe9\n")
    with pytest.raises(InputError, match="line 2 has bytes"):
        read_labelled(path)
    assert read_labelled(path, encoding="latin-1").labels.tolist() == ["café"]
    with pytest.raises(InputError, match="cannot be read"):
        read_labelled(tmp_path / "none.ts")


def test_ucr_tables(tmp_path):
    path = tmp_path / "a_TRAIN.tsv"
    path.write_text("1\t0.5\t0.25\tNaN\n2\t1\tNaN\t3\n-1\t7\t8\t9\n")
    found = read_labelled(path)
    assert found.labels.tolist() == [1, 2, -1]
    assert [len(each) for each in found.sequences] == [2, 3, 3]
    assert np.isnan(found.sequences[1][1, 0])
    path.write_text("1\t0.5\n2\tx\n")
    with pytest.raises(InputError, match="line 2: value 1"):
        read_labelled(path)
    path.write_text("1\t0.5\n2\tNaN\n")
    with pytest.raises(InputError, match="line 2: a label without values"):
        read_labelled(path)


LONG = pl.DataFrame(
    {
        "id": ["b", "a", "b", "a", "b"],
        "time": [2, 1, 1, 2, 3],
        "x": [2.0, 10.0, 1.0, 20.0, 3.0],
        "y": [5, 6, 7, 8, 9],
        "label": ["up", "down", "up", "down", "up"],
    }
)


@pytest.mark.parametrize("form", ["polars", "pandas", "csv", "parquet", "lazy"])
def test_long_tables(form, tmp_path):
    source = LONG
    if form == "pandas":
        source = LONG.to_pandas()
    if form == "lazy":
        source = LONG.lazy()
    if form in ("csv", "parquet"):
        source = tmp_path / f"a.{form}"
        getattr(LONG, f"write_{form}")(source)
    found = read_labelled(source)
    assert found.names == ["b", "a"]
    assert found.labels.tolist() == ["up", "down"]
    np.testing.assert_array_equal(found.sequences[0], [[1, 7], [2, 5], [3, 9]])
    np.testing.assert_array_equal(found.sequences[1], [[10, 6], [20, 8]])
    one = read_labelled(source, values=["y"], time="y", need_labels=False)
    np.testing.assert_array_equal(one.sequences[0][:, 0], [5, 7, 9])


def test_bad_long_tables():
    for change, message in (
        ({"label": ["up", "down", "down", "down", "up"]}, "Sequence 'b' has the labels"),
        ({"id": ["b", None, "b", "a", "b"]}, "no name in row 1"),
        ({"label": [1, 2, None, 2, 1]}, "'label' has no label in row 2 .*sequence 'b'"),
        ({"label": [1.0, 2.0, 1.0, float("nan"), 1.0]}, "no label in row 3"),
        ({"label": ["up", "down", "up", "", "up"]}, "no label in row 3"),
        ({"label": [1, 2, 1, 2, 3]}, r"Sequence 'b' has the labels 1 and 3 \(row 4"),
        ({"x": ["1", "2", "x", "3", "4"], "y": ["a"] * 5}, "no numeric column"),
    ):
        with pytest.raises(InputError, match=message):
            read_labelled(LONG.with_columns(**{k: pl.Series(v) for k, v in change.items()}))
    for table, message in (
        (LONG.drop("label"), "Which column has the labels"),
        (LONG.drop("id"), "names the sequence"),
    ):
        with pytest.raises(InputError, match=message):
            read_labelled(table)
    with pytest.raises(InputError, match="Unknown column"):
        read_labelled(LONG, label="labels")
    with pytest.raises(InputError, match="must be numeric"):
        read_labelled(LONG.with_columns(x=pl.lit("q")), values=["x"])
    with pytest.raises(InputError, match="'x' has infinite values"):
        read_labelled(LONG.with_columns(x=pl.lit(1e39)))
    far = read_labelled(LONG.with_columns(x=pl.col("x") + 1e8 + 0.25))
    np.testing.assert_array_equal(far.sequences[1][:, 0], [1e8 + 10.25, 1e8 + 20.25])


def test_a_label_that_is_not_needed_may_be_empty():
    for labels in ([1, 2, None, 2, 1], ["up", "down", "up", "", "up"]):
        found = read_labelled(LONG.with_columns(label=pl.Series(labels)), need_labels=False)
        assert found.labels is None
        assert found.channels == ["x", "y"]


def test_texts(tmp_path):
    rows = [("good, really", "pos"), ('a "quoted" word', "neg")]
    frame = pd.DataFrame(rows, columns=["text", "label"])
    csv, tsv, lines = tmp_path / "a.csv", tmp_path / "a.tsv", tmp_path / "a.jsonl.gz"
    frame.to_csv(csv, index=False)
    tsv.write_text("sentence\tclass\n" + "".join(f"{a}\t{b}\n" for a, b in rows))
    objects = [json.dumps({"text": a, "label": b}) for a, b in rows]
    lines.write_bytes(gzip.compress("\n".join(objects).encode()))
    for source in (frame, pl.from_pandas(frame), csv, tsv, lines, str(csv)):
        found = read_labelled(source)
        assert found.sequences == [a for a, _ in rows]
        assert found.labels.tolist() == ["pos", "neg"]
    renamed = frame.rename(columns={"text": "what", "label": "kind"})
    assert read_labelled(renamed, text="what", label="kind").labels.tolist() == ["pos", "neg"]
    assert read_labelled(frame[["text"]], need_labels=False).labels is None
    csv.write_bytes("text,label\ncafé,1\n".encode("latin-1"))
    assert read_labelled(csv, encoding="latin-1").sequences == ["café"]
    with pytest.raises(InputError, match="line 2 has bytes"):
        read_labelled(csv)


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".csv.gz", ".CSV"])
@pytest.mark.parametrize("encoding", ["utf-8", "latin-1", "utf-16"])
def test_words_for_missing_numbers_are_texts(suffix, encoding, tmp_path):
    path, sign = tmp_path / f"a{suffix}", "\t" if "tsv" in suffix else ","

    def write(*rows):
        data = "\n".join(sign.join(row) for row in [("text", "label"), *rows]).encode(encoding)
        path.write_bytes(gzip.compress(data) if "gz" in suffix else data)

    rows = [("NA", "None"), ("nan", "?"), ("", "null"), ("null", "nan"), ("007", "NA")]
    write(*rows)
    found = read_labelled(path, encoding=encoding)
    assert found.sequences == [text for text, _ in rows]
    assert found.labels.tolist() == [label for _, label in rows]
    write(("a", "x"), ("", ""))
    with pytest.raises(InputError, match="'label' is empty in row 1"):
        read_labelled(path, encoding=encoding)
    found = read_labelled(path, encoding=encoding, need_labels=False)
    assert found.sequences == ["a", ""]
    assert found.labels is None
    write(("1", "2"), ("3", "4"))
    found = read_labelled(path, encoding=encoding)
    assert found.sequences == ["1", "3"]
    assert found.labels.tolist() == [2, 4]


@pytest.mark.parametrize("suffix", ["csv", "tsv"])
def test_numbers_may_be_missing_in_any_table(suffix, tmp_path):
    path, sign = tmp_path / f"a.{suffix}", "\t" if suffix == "tsv" else ","
    path.write_text("id,x,label\n1,NA,a\n1,2,a\n2,?,b\n".replace(",", sign))
    found = read_labelled(path)
    assert [np.isnan(each[:, 0]).tolist() for each in found.sequences] == [[True, False], [True]]


def test_texts_keep_their_names(tmp_path):
    rows = {"id": ["r17", "r3"], "text": ["good", "bad"], "label": ["x", "y"]}
    frame = pl.DataFrame(rows)
    frame.write_csv(tmp_path / "a.csv")
    frame.write_csv(tmp_path / "a.tsv", separator="\t")
    frame.write_ndjson(tmp_path / "a.jsonl")
    for source in (frame, *(tmp_path / f"a.{suffix}" for suffix in ("csv", "tsv", "jsonl"))):
        for id in (None, "id"):  # which does not make series of them
            found = read_labelled(source, id=id)
            assert found.names == ["r17", "r3"]
            assert found.sequences == ["good", "bad"]
        assert read_labelled(source, id="label").names == ["x", "y"]
        with pytest.raises(InputError, match="'name'"):
            read_labelled(source, id="name")
    holes = frame.with_columns(id=pl.Series(["r17", None]))
    assert read_labelled(holes).names is None
    with pytest.raises(InputError, match="'id' is empty in row 1"):
        read_labelled(holes, id="id")
    assert read_labelled(frame.drop("id")).names is None
    # A series with a remark: whoever names its channels or time means no texts.
    series = LONG.with_columns(text=pl.lit("a remark"))
    assert read_labelled(series, values=["x"]).sequences[0].shape == (3, 1)
    assert read_labelled(series, time="time").sequences[0].shape == (3, 2)


def test_bad_texts(tmp_path):
    path = tmp_path / "a.jsonl"
    for second, message in (
        ("{", "line 2 is not JSON"),
        ("[1]", "line 2: an object"),
        ('{"label": 1}', "line 2 has no text under 'text'"),
        ('{"text": "a"}', "line 2 has no label under 'label'"),
    ):
        path.write_text('{"text": "a", "label": 1}\n' + second)
        with pytest.raises(InputError, match=message):
            read_labelled(path)
    path.write_text("\n")
    with pytest.raises(InputError, match="holds no text"):
        read_labelled(path)
    with pytest.raises(InputError, match="'label' is empty in row 1"):
        read_labelled(pl.DataFrame({"text": ["a", "b"], "label": ["x", None]}))
    path.write_text('{"text": "a", "label": 1}\n{"text": "b", "label": "x"}')
    assert read_labelled(path).labels.tolist() == ["1", "x"]
