"""Readers of labelled sequences: what is taken, and what is refused with its place."""

from __future__ import annotations

import gzip
import json
import os
from pathlib import Path

import pytest

from longspan.data import read_tagged, tagged_text
from longspan.errors import InputError

DATA = Path(os.environ.get("LONGSPAN_DATA", Path(__file__).parents[3] / "shared" / "data"))


def put(path, text, encoding="utf-8"):
    path.write_bytes(text.encode(encoding))
    return path


def test_columns(tmp_path):
    text = "-DOCSTART- -X- O\n\nHe PRP B-NP\nran VBD B-VP\n\n\n# # O\n"
    for name in ("a.txt", "b.conll"):
        found = read_tagged(put(tmp_path / name, text))
        assert found.words == [["He", "ran"], ["#"]]  # a number sign is a word
        assert found.labels == [["B-NP", "B-VP"], ["O"]]
        assert found.intents is None
    assert read_tagged(tmp_path / "a.txt", labels=1).labels == [["PRP", "VBD"], ["#"]]
    assert read_tagged(tmp_path / "a.txt", labels="-2", words=-1).words[1] == ["O"]
    assert read_tagged(tmp_path / "a.txt", labelled=False).labels is None


def test_tabs_windows_ends_marks_and_odd_spaces(tmp_path):
    text = "\ufeffNew York\tB-LOC\r\n\u00a0\u2028x\tO\r\n\t\r\n½\tO"
    found = read_tagged(put(tmp_path / "a.tsv", text))
    assert found.words == [["New York", "\u00a0\u2028x"], ["½"]]
    spaces = read_tagged(put(tmp_path / "b", " a\u00a0b   O \n"))  # a hard space is part of a word
    assert (spaces.words, spaces.labels) == ([["a\u00a0b"]], [["O"]])


CONLLU = """# newdoc id = d
# text = vámonos al mar
1-2\tvámonos\t_\t_\t_\t_\t_\t_\t_\t_
1\tvamos\tir\tVERB\tV\t_\t0\troot\t_\t_
2\tnos\tnosotros\tPRON\tP\t_\t1\tobj\t_\t_
2.1\tsí\t_\tINTJ\t_\t_\t_\t_\t_\t_

# text = mar
1\tmar\tmar\tNOUN\tN\t_\t0\troot\t_\t_
"""


def test_conllu_leaves_out_joined_and_empty_tokens(tmp_path):
    path = put(tmp_path / "a.conllu", CONLLU)
    found = read_tagged(path)
    assert found.words == [["vamos", "nos"], ["mar"]]
    assert found.labels == [["VERB", "PRON"], ["NOUN"]]
    assert read_tagged(path, labels="XPOS", words="lemma").words == [["ir", "nosotros"], ["mar"]]
    assert read_tagged(path, labels="4").labels == [["V", "P"], ["N"]]
    packed = tmp_path / "a.conllu.gz"
    packed.write_bytes(gzip.compress(CONLLU.encode()))
    assert read_tagged(packed) == found


def test_json_lines(tmp_path):
    lines = [{"tokens": ["a", "b"], "tags": ["O", "B-x"], "intent": "i"}, {"tokens": [], "tags": [],
             "intent": "j"}]  # fmt: skip
    path = put(tmp_path / "a.jsonl", "\n\n".join(map(json.dumps, lines)))
    found = read_tagged(path)
    assert found.words == [["a", "b"], []]
    assert found.labels == [["O", "B-x"], []]
    assert found.intents == ["i", "j"]
    assert read_tagged(path, labelled=False).words == found.words
    bare = put(tmp_path / "b.jsonl", '{"tokens": ["a"]}\n')
    assert read_tagged(bare, labelled=False).words == [["a"]]


def test_parallel_files(tmp_path):
    put(tmp_path / "seq.in", "show flights\n\nhi\n")
    put(tmp_path / "seq.out", "O O\n\nO \n")
    found = read_tagged(tmp_path)
    assert found.words == [["show", "flights"], [], ["hi"]]
    assert found.labels == [["O", "O"], [], ["O"]]
    assert found.intents is None
    put(tmp_path / "label", "flight\nnone\ngreet\n")
    assert read_tagged(tmp_path).intents == ["flight", "none", "greet"]
    assert read_tagged(tmp_path, labelled=False).labels is None


def test_lists():
    found = tagged_text([("a", "b"), []], [["x", "y"], []], ["i", "j"])
    assert len(found) == 2
    part = found.part([1])
    assert (part.words, part.labels, part.intents) == ([[]], [[]], ["j"])
    assert tagged_text([["a"]]).part([0]).labels is None
    cases = {
        "must be lists of words": lambda: tagged_text("show flights"),
        "one list for each, got text": lambda: tagged_text(["show flights"]),
        "Sequence 1 must be a list of texts, none of them empty, got ''": lambda: tagged_text(
            [["a"], ["b", ""]]
        ),
        "got 3": lambda: tagged_text([["a", 3]]),
        "Sequence 0 has 1 words and 2 labels": lambda: tagged_text([["a"]], [["x", "y"]]),
        "There are 1 sequences and 0 labels": lambda: tagged_text([["a"]], []),
        "There are 1 sequences and 2 intents": lambda: tagged_text([["a"]], None, ["i", "j"]),
    }
    for message, call in cases.items():
        with pytest.raises(InputError) as caught:
            call()
        assert message in str(caught.value)


ROW = "1\ta\ta\tX\tX\t_\t0\troot\t_\t_\n"
MALFORMED = {
    "a.txt, line 3: 2 columns between spaces were expected": ("a.txt", "a O\n\nb\n"),
    "a.txt, line 2: 2 columns between tabs": ("a.txt", "a\tO\nb O\n"),
    "a.txt, line 1: column 0 is empty": ("a.txt", "\tO\n"),
    "a.conllu, line 2: CoNLL-U has 10 columns": ("a.conllu", ROW + "2\tb\n"),
    "a.conllu, line 1: 'x' is no ID": ("a.conllu", ROW.replace("1", "x")),
    "a.jsonl, line 1: not JSON": ("a.jsonl", "{\n"),
    "a.jsonl, line 2: an object like": ("a.jsonl", '\n["a"]\n'),
    "a.jsonl, line 1: `tokens` must be a list": ("a.jsonl", '{"tags": []}\n'),
    "none of them empty, got 3": ("a.jsonl", '{"tokens": ["a", 3], "tags": []}\n'),
    "a.jsonl, line 1: The object has 1 words and 0": ("a.jsonl", '{"tokens": ["a"], "tags": []}\n'),
    "a.jsonl, line 2: `intent` must be text in every line": (
        "a.jsonl", '{"tokens": [], "tags": [], "intent": "i"}\n{"tokens": [], "tags": []}\n',
    ),
}  # fmt: skip


@pytest.mark.parametrize("message", MALFORMED)
def test_a_malformed_line_is_named(message, tmp_path):
    name, text = MALFORMED[message]
    with pytest.raises(InputError) as caught:
        read_tagged(put(tmp_path / name, text))
    assert message in str(caught.value)


def test_wrong_encodings_columns_and_files(tmp_path):
    latin = put(tmp_path / "a.txt", "He O\ncafé O\n", "latin-1")
    with pytest.raises(InputError, match=r"a\.txt is not in utf-8: line 2 "):
        read_tagged(latin)
    assert read_tagged(latin, encoding="latin-1").words == [["He", "café"]]
    wide = put(tmp_path / "b.txt", "He O\n", "utf-16")
    with pytest.raises(InputError, match=r"b\.txt is not in utf-8: line 1 "):
        read_tagged(wide)
    assert read_tagged(wide, encoding="utf-16").words == [["He"]]
    (tmp_path / "c.jsonl.gz").write_bytes(b"no gzip")
    cases = {
        "There is no encoding 'utf-9'": lambda: read_tagged(latin, encoding="utf-9"),
        "is a number (0 is the first": lambda: read_tagged(latin, words="form"),
        "there is no column 2": lambda: read_tagged(latin, labels=2, encoding="latin-1"),
        "Did you mean 'xpos'": lambda: read_tagged(
            put(tmp_path / "a.conllu", CONLLU), labels="pos"
        ),
        "No such file": lambda: read_tagged(tmp_path / "none.txt"),
        "seq.in cannot be read": lambda: read_tagged(tmp_path),
        "Not a gzipped file": lambda: read_tagged(tmp_path / "c.jsonl.gz"),
    }
    for message, call in cases.items():
        with pytest.raises(InputError) as caught:
            call()
        assert message in str(caught.value)


def test_parallel_files_that_do_not_fit(tmp_path):
    put(tmp_path / "seq.in", "a b\nc\n")
    for labels, intents, message in (
        ("O O\n", "i\n", "seq.out has 1 lines and seq.in has 2"),
        ("O\nO\n", "i\nj\n", "seq.out, line 1: The line of seq.in has 2 words and 1 labels"),
        ("O O\nO\n", "i\n", "label has 1 lines and seq.in has 2"),
        ("O O\nO\n", "i\n\n", "label, line 2: there is no intent"),
    ):
        put(tmp_path / "seq.out", labels)
        put(tmp_path / "label", intents)
        with pytest.raises(InputError) as caught:
            read_tagged(tmp_path)
        assert message in str(caught.value)


def test_intents_are_not_read_where_labels_are_not_wanted(tmp_path):
    path = put(tmp_path / "a.jsonl", '{"tokens": ["a"], "intent": "i"}\n{"tokens": ["b"]}\n')
    found = read_tagged(path, labelled=False)
    assert (found.words, found.labels, found.intents) == ([["a"], ["b"]], None, None)


def test_an_empty_file_has_no_sequences(tmp_path):
    assert len(read_tagged(put(tmp_path / "a.txt", ""))) == 0
    assert len(read_tagged(put(tmp_path / "a.jsonl", "\n"))) == 0


#: Sequences as published, and words as wc and grep count them.
PUBLISHED = {
    "tagging/conll2000/train.txt": (8936, 211727),
    "tagging/wnut17/wnut17train.conll": (3394, 62730),
    "tagging/wnut17/emerging.test.annotated": (1287, 23394),
    "tagging/ud_ewt/en_ewt-ud-test.conllu": (2077, 25094),
    "slot_intent/atis/test": (893, 9164),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_files_have_the_published_sizes(name):
    path = DATA / name
    if not path.exists():
        pytest.skip(f"{path} is not here")
    found = read_tagged(path)
    assert (len(found), sum(map(len, found.words))) == PUBLISHED[name]
