"""Pairs and dialogues from lists and files, and what cannot be read."""

from __future__ import annotations

import gzip
import json

import pytest

from longspan.data.pairs import clean, read_lines, read_pairs
from longspan.errors import InputError

PAIRS = [("eins zwei", "one two"), ("drei", "three")]


def found(pairs):
    return list(zip(pairs.sources, pairs.targets, strict=True))


def test_every_form_gives_the_same(tmp_path):
    (tmp_path / "a.de").write_text("eins zwei\ndrei\n")
    (tmp_path / "a.en").write_text("one two\r\nthree")
    (tmp_path / "b.en.gz").write_bytes(gzip.compress(b"one two\nthree\n"))
    (tmp_path / "a.tsv").write_text("eins zwei\tone two\ndrei\tthree\n")
    (tmp_path / "a.jsonl").write_text(
        '{"source": "eins zwei", "target": "one two"}\n\n["drei", "three"]\n'
    )
    (tmp_path / "a.json").write_text(json.dumps({"conversations": PAIRS}))
    (tmp_path / "a.yml").write_text(
        "categories:\n- x\nconversations:\n- - eins zwei\n  - one two\n- - drei\n  - three\n"
    )
    for case in (
        (PAIRS,), ([list(p) for p in PAIRS],), (iter(PAIRS),),
        ([s for s, _ in PAIRS], [t for _, t in PAIRS]),
        (tmp_path / "a.de", tmp_path / "a.en"), (str(tmp_path / "a.de"), tmp_path / "b.en.gz"),
        (tmp_path / "a.tsv",), (str(tmp_path / "a.jsonl"),), (tmp_path / "a.json",),
        (tmp_path / "a.yml",),
    ):  # fmt: skip
        assert found(read_pairs(*case)) == PAIRS, case
    both = read_pairs([tmp_path / "a.tsv", tmp_path / "a.json", ("x", "y")])
    assert found(both) == [*PAIRS, *PAIRS, ("x", "y")]
    (tmp_path / "all").mkdir()
    for name in ("a.yml", "a.tsv"):
        (tmp_path / name).rename(tmp_path / "all" / name)
    (tmp_path / "all" / "b.en.gz").write_bytes(b"not of pairs")
    assert found(read_pairs(tmp_path / "all")) == [*PAIRS, *PAIRS]


def test_directories_may_hold_compressed_files(tmp_path):
    text = "".join("\t".join(pair) + "\n" for pair in PAIRS)
    (tmp_path / "p.tsv.gz").write_bytes(gzip.compress(text.encode()))
    assert found(read_pairs(tmp_path)) == PAIRS


def test_dialogues_and_their_context():
    dialogue = [["A", "B", "C", "D"]]
    assert found(read_pairs(dialogue)) == [("A", "B"), ("B", "C"), ("C", "D")]
    assert read_pairs(dialogue, context_turns=1).sources == ("A", "A ␞ B", "B ␞ C")
    assert read_pairs(dialogue, context_turns=9).sources == ("A", "A ␞ B", "A ␞ B ␞ C")


def test_what_stays_together():
    pairs = read_pairs([("a", "1"), ("b", "2"), ("a", "3"), ("b", "4", "5")])
    assert pairs.groups.tolist() == [0, 1, 0, 1, 1]
    assert found(pairs.part([3, 0])) == [("b", "4"), ("a", "1")]


def test_texts_are_cleaned():
    assert clean(" Cafe\u0301\r\nA\tb ") == "Café A\tb"
    assert clean("A ␞ B", lowercase=True) == "a   b"
    assert found(read_pairs([("A\nB", "C ")], lowercase=True)) == [("a b", "c")]


def test_empty_sides_are_left_out_and_counted():
    pairs = read_pairs([("a", ""), (" ", "b"), ("c", "d"), ("e", "f", "", "g")])
    assert found(pairs) == [("c", "d"), ("e", "f")]
    assert pairs.empty == 4
    assert len(read_pairs([])) == 0


def test_only_ends_of_lines_end_lines(tmp_path):
    (tmp_path / "a").write_text("one\u2028two\x0bthree\n\nfour", newline="")
    assert read_lines(tmp_path / "a") == ["one\u2028two\x0bthree", "", "four"]
    (tmp_path / "b").write_text("")
    assert read_lines(tmp_path / "b") == []


def test_what_yaml_would_change_stays_as_it_is(tmp_path):
    (tmp_path / "a.yaml").write_text("- - yes\n  - no\n- - 1.50\n  - null\n")
    assert found(read_pairs(tmp_path / "a.yaml")) == [("yes", "no"), ("1.50", "null")]


NAN = float("nan")


@pytest.mark.parametrize(
    ("message", "data"),
    [
        ("as many lines, got 2 and 1", (["a", "b"], ["c"])),
        ("as many lines, got 1 and 0", (["a"], [])),
        ("got nan .float. in pair 2", ([("a", "b"), ("c", NAN)],)),
        ("got None", ([("a", None)],)),
        ("got nan .float. in pair 1", (["a"], [NAN])),
        ("got .'a',. in pair 1", ([("a",)],)),
        ("got 'text' in pair 1", (["text"],)),
        ("name that ends in", ("nowhere.txt",)),
        ("cannot be read", ("nowhere.tsv",)),
        ("no file 'nowhere'", ("nowhere", "there")),
        ("got int", (3,)),
        ("got int", (3, ["a"])),
    ],
)
def test_what_cannot_be_read(message, data):
    with pytest.raises(InputError, match=message):
        read_pairs(*data)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.tsv", b"a\tb\nc\n", "line 2 has 1"),
        ("a.tsv", b"a\tb\nc\td\te\n", "line 2 has 3"),
        ("a.tsv", "a\tb\nc\tdé\n".encode("latin-1"), "not in utf-8: line 2"),
        ("a.jsonl", b'["a", "b"]\n["c",\n', "Cannot read line 2 of"),
        ("a.jsonl", b'["a", "b"]\n{"source": "c"}\n', "line 2 of"),
        ("a.jsonl", b'["a", 3]\n', "got 3 .int. in line 1"),
        ("a.json", b"3", "must hold a list"),
        ("a.json", b'{"other": []}', "must hold a list"),
        ("a.json", b"[[", "Cannot read"),
        ("a.yml", b"- - a\n- b: [", "Cannot read"),
        ("a.yml", b"conversations:\n- - a\n  - b: c\n", "got {'b': 'c'} .dict. in dialogue 1"),
        ("a.yml", b"conversations:\n- - a\n  - b\n- alone\n", "got 'alone' in dialogue 2"),
    ],
)
def test_files_that_cannot_be_read(name, text, message, tmp_path):
    (tmp_path / name).write_bytes(text)
    with pytest.raises(InputError, match=message):
        read_pairs(tmp_path / name)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="no file that ends in"):
        read_pairs(tmp_path / "empty")


def test_wrong_encoding_names_the_line(tmp_path):
    (tmp_path / "a").write_bytes("a\nb\ncafé\n".encode("latin-1"))
    with pytest.raises(InputError, match="not in utf-8: line 3"):
        read_pairs(tmp_path / "a", ["x", "y", "z"])
    pairs = read_pairs(tmp_path / "a", ["x", "y", "z"], encoding="latin-1")
    assert pairs.sources[2] == "café"
