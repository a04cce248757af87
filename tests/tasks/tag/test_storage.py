"""Taggers to model directories and back, and damaged ones."""

from __future__ import annotations

import json

import numpy as np
import pytest
from tests.tasks.tag.conftest import requests

import longspan
from longspan import Tagger
from longspan.errors import ModelDirectoryError


@pytest.mark.parametrize("kind", ["fitted", "plain"])
def test_saved_and_loaded_it_does_the_same(kind, request, tmp_path):
    model = request.getfixturevalue(kind)
    model.save(tmp_path / "model", report="<p>")
    loaded = longspan.load(tmp_path / "model")
    assert isinstance(loaded, Tagger)
    words, labels, intents = requests(10, seed=4)
    words = [*words, [], ["日本"]]
    assert loaded.predict(words) == model.predict(words)
    assert loaded.predict_k_best(words, 3) == model.predict_k_best(words, 3)
    for ours, theirs in zip(model.predict_proba(words), loaded.predict_proba(words), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert loaded.evaluate(words[:10], labels, intents) == model.evaluate(
        words[:10], labels, intents
    )
    assert loaded.intents_ == model.intents_
    assert loaded.get_params() == model.get_params()
    assert "# Tagger" in (tmp_path / "model" / "README.md").read_text()
    names = {p.name for p in (tmp_path / "model").iterdir()}
    assert names == {"config.json", "model.safetensors", "README.md", "report.html"}
    loaded.save(tmp_path / "again")
    for name in ("config.json", "model.safetensors"):
        assert (tmp_path / "again" / name).read_bytes() == (tmp_path / "model" / name).read_bytes()


DAMAGES = {
    "beyond": lambda c: c["options"].update(hidden_size=10**9),
    "must be": lambda c: c["options"].update(hidden_size=60000, num_layers=2),
    "not expected|missing": lambda c: c["options"].update(character_encoder="none"),
    "object": lambda c: c.update(options=[]),
    "NoneType": lambda c: c.update(baseline=None),
    "word_embedding": lambda c: c["words"].pop(),
    "a text twice": lambda c: c["words"].append(c["words"][0]),
    "list of texts": lambda c: c.update(labels=[1, 2]),
    "no scheme 'iobes'": lambda c: c.update(scheme="iobes"),
    "not one of a span": lambda c: c["labels"].__setitem__(0, "noun"),
    "title": lambda c: c.pop("title"),
    "IndexError": lambda c: c["baseline"].update(other=10**6),
    "shorter|longer": lambda c: c["baseline"]["words"].pop(),
}


@pytest.mark.parametrize("message", DAMAGES)
def test_damaged_models_are_refused(message, fitted, tmp_path):
    fitted.save(tmp_path / "model")
    path = tmp_path / "model" / "config.json"
    head = json.loads(path.read_text())
    DAMAGES[message](head["config"])
    path.write_text(json.dumps(head))
    with pytest.raises(ModelDirectoryError, match=message):
        longspan.load(tmp_path / "model")
