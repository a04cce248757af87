"""Model directories are data: whatever is in them, reading ends well or with one clear error."""

from __future__ import annotations

import contextlib
import json
import shutil
import struct
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import longspan
from longspan.errors import LongspanError, ModelDirectoryError
from longspan.tasks.storage import check_replaceable, check_tensors

FUZZ = settings(
    deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.fixture(scope="module")
def saved(fitted, tmp_path_factory):
    path = tmp_path_factory.mktemp("saved") / "model"
    fitted.save(path)
    return path


@pytest.fixture
def copy(saved, tmp_path):
    shutil.copytree(saved, tmp_path / "model")
    return tmp_path / "model"


def change(path, function):
    head = json.loads((path / "config.json").read_text())
    function(head)
    (path / "config.json").write_text(json.dumps(head))


def seal(path):
    """Give a changed weights file the checksum that config.json asks for."""
    import hashlib

    digest = hashlib.sha256((path / "model.safetensors").read_bytes()).hexdigest()
    change(path, lambda head: head.update(weights_sha256=digest))


def refuses(path, match=None):
    with pytest.raises(ModelDirectoryError, match=match):
        longspan.load(path)


def test_incomplete_other_version_and_foreign_directories(copy, tmp_path):
    refuses(tmp_path / "none", "There is no model directory")
    (copy / "model.safetensors").rename(tmp_path / "aside")
    refuses(copy, "incomplete")
    (tmp_path / "aside").rename(copy / "model.safetensors")
    change(copy, lambda head: head.update(format=99))
    refuses(copy, "format 99.*reads format 1")
    change(copy, lambda head: head.update(format=1, task="other"))
    refuses(copy, "Unknown task 'other'")
    (copy / "config.json").unlink()
    refuses(copy, "incomplete")


def test_links_are_not_followed(copy, tmp_path):
    (copy / "config.json").rename(tmp_path / "elsewhere.json")
    (copy / "config.json").symlink_to(tmp_path / "elsewhere.json")
    refuses(copy, "plain files")


def test_sizes_are_checked_before_anything_is_allocated(copy):
    change(copy, lambda head: head["config"]["options"].update(hidden_size=60000, num_layers=200))
    refuses(copy, "must be")
    change(copy, lambda head: head["config"]["options"].update(hidden_size=10**9))
    refuses(copy, "beyond")


def test_a_checksum_guards_the_weights(copy):
    data = bytearray((copy / "model.safetensors").read_bytes())
    data[-5] ^= 1
    (copy / "model.safetensors").write_bytes(data)
    refuses(copy, "checksum")


def hostile_header(shape):
    header = json.dumps({"x": {"dtype": "F32", "shape": shape, "data_offsets": [0, 4]}}).encode()
    return struct.pack("<Q", len(header)) + header + b"\0\0\0\0"


@pytest.mark.parametrize(
    "data",
    [
        b"", b"\xff" * 8, b"\xff" * 64, struct.pack("<Q", 2**60) + b"{}", hostile_header([2**40]),
        hostile_header([-1]), hostile_header([1]), hostile_header([2**63, 2**63]),
    ],
)  # fmt: skip
def test_hostile_weights(copy, data):
    (copy / "model.safetensors").write_bytes(data)
    seal(copy)
    refuses(copy)


@FUZZ
@given(data=st.data())
def test_random_changes_of_the_weights(saved, tmp_path_factory, data):
    path = tmp_path_factory.mktemp("fuzz") / "model"
    shutil.copytree(saved, path)
    whole = bytearray((path / "model.safetensors").read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        whole[data.draw(st.integers(0, min(len(whole) - 1, 3000)))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.one_of(st.just(len(whole)), st.integers(0, len(whole))))
    (path / "model.safetensors").write_bytes(whole[:cut])
    seal(path)
    survives(path)


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=5,
)


@settings(FUZZ, max_examples=150)
@given(data=st.data())
def test_any_value_anywhere_in_the_config(saved, tmp_path_factory, data):
    path = tmp_path_factory.mktemp("fuzz") / "model"
    shutil.copytree(saved, path)
    head = json.loads((path / "config.json").read_text())
    place, key = head, data.draw(st.sampled_from(sorted(head)))
    while isinstance(place[key], dict) and place[key] and data.draw(st.booleans()):
        place = place[key]
        key = data.draw(st.sampled_from(sorted(place)))
    if isinstance(place[key], list) and place[key] and data.draw(st.booleans()):
        place, key = place[key], data.draw(st.integers(0, len(place[key]) - 1))
    place[key] = data.draw(ANYTHING)
    (path / "config.json").write_text(json.dumps(head))
    survives(path)


@FUZZ
@given(text=st.binary(max_size=200) | st.sampled_from([b"[" * 100000, b'{"a": NaN}', b"[]", b"1"]))
def test_random_bytes_as_config(saved, tmp_path_factory, text):
    path = tmp_path_factory.mktemp("fuzz") / "model"
    shutil.copytree(saved, path)
    (path / "config.json").write_bytes(text)
    refuses(path)


def survives(path):
    """Load, and if that works predict: nothing but a clear error may come of it."""
    before = sorted(p.name for p in path.parent.iterdir())
    with contextlib.suppress(LongspanError):
        longspan.load(path).predict()
    assert before == sorted(p.name for p in path.parent.iterdir())


def test_saving_replaces_models_and_nothing_else(fitted, tmp_path):
    path = tmp_path / "model"
    fitted.save(path)
    first = (path / "config.json").read_bytes()
    fitted.save(path)
    assert (path / "config.json").read_bytes() == first
    assert [p.name for p in tmp_path.iterdir()] == ["model"]
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.txt").write_text("dear")
    with pytest.raises(ModelDirectoryError, match="not a model"):
        fitted.save(tmp_path / "other")
    (tmp_path / "file").write_text("x")
    with pytest.raises(ModelDirectoryError, match="not a directory"):
        fitted.save(tmp_path / "file")


def test_a_failed_save_leaves_the_old_model(fitted, tmp_path, monkeypatch):
    path = tmp_path / "model"
    fitted.save(path)
    before = {p.name: p.read_bytes() for p in path.iterdir()}

    def fail(self, data):
        raise OSError("disk full")

    monkeypatch.setattr(Path, "write_bytes", fail)
    with pytest.raises(OSError, match="disk full"):
        fitted.save(path)
    assert before == {p.name: p.read_bytes() for p in path.iterdir()}
    assert [p.name for p in tmp_path.iterdir()] == ["model"]


def test_a_foreign_directory_with_a_config_is_not_replaced(fitted, tmp_path):
    """Many programs call a file config.json."""
    path = tmp_path / "other"
    path.mkdir()
    (path / "thesis.txt").write_text("dear")
    for config in ('{"model_type": "bert"}', "{", "[]"):
        (path / "config.json").write_text(config)
        with pytest.raises(ModelDirectoryError, match="not a model"):
            fitted.save(path)
    assert (path / "thesis.txt").read_text() == "dear"


def test_what_was_added_to_a_model_is_not_removed(fitted, tmp_path):
    path = tmp_path / "model"
    fitted.save(path, report="<p>")
    (path / "notes.txt").write_text("dear")
    with pytest.raises(ModelDirectoryError, match=r"also 'notes\.txt'"):
        fitted.save(path)
    assert (path / "notes.txt").read_text() == "dear"
    (path / "notes.txt").unlink()
    fitted.save(path)
    assert not (path / "report.html").exists()


@pytest.mark.parametrize("error", [OSError("torn"), KeyboardInterrupt()])
def test_a_swap_that_stops_half_way_leaves_the_old_model(fitted, tmp_path, monkeypatch, error):
    path = tmp_path / "model"
    fitted.save(path)
    before = {p.name: p.read_bytes() for p in path.iterdir()}
    rename = Path.rename

    def stop(self, target):
        if Path(target) == path and self.name != "model":
            raise error
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", stop)
    with pytest.raises(type(error)):
        fitted.save(path)
    assert before == {p.name: p.read_bytes() for p in path.iterdir()}
    assert [p.name for p in tmp_path.iterdir()] == ["model"]


def test_paths_that_no_model_can_have(fitted, tmp_path):
    (tmp_path / "file").write_text("x")
    for path in (tmp_path / ("a" * 300), tmp_path / "file" / "model"):
        with pytest.raises(ModelDirectoryError):
            fitted.save(path)
        refuses(path)
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_checking_a_new_path_leaves_nothing_behind(tmp_path):
    check_replaceable(tmp_path / "runs" / "model")
    assert not list(tmp_path.iterdir())


def test_numbers_too_large_for_json_are_refused(copy):
    text = (copy / "config.json").read_text()
    (copy / "config.json").write_text(text.replace('"format": 1', '"format": 1, "x": [-1e999]'))
    refuses(copy, "-1e999 is beyond")


def test_all_wrong_tensors_are_named():
    def tensors(**shapes):
        return {name: torch.zeros(shape) for name, shape in shapes.items()}

    check_tensors(tensors(a=(2,)), tensors(a=(2,)))
    with pytest.raises(ModelDirectoryError) as caught:
        check_tensors(tensors(a=(2,), b=()), tensors(a=(3,), c=()))
    for words in ("'a' must be torch.float32 (2,)", "'b' is missing", "'c' is not expected"):
        assert words in str(caught.value)
    with pytest.raises(ModelDirectoryError, match="and 12 more"):
        check_tensors({}, tensors(**{f"t{k}": () for k in range(20)}))
