"""Classifiers and taggers that know words from a file of vectors."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from longspan import Classifier, SequenceFeatures, Tagger, load
from longspan.errors import InputError, ModelDirectoryError

#: Words of two kinds, by the sign of their first number; the last of each are in no training part.
GOOD = ["good", "fine", "nice", "lovely", "great", "superb"]
BAD = ["bad", "poor", "awful", "nasty", "dreadful", "grim"]
PLAIN = ["the", "film", "was", "it"]
SEEN = 4


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    draw = np.random.default_rng(0)
    lines = []
    for word in [*PLAIN, *GOOD, *BAD]:
        sign = 2.0 * ((word in GOOD) - (word in BAD))
        numbers = [sign, *(0.1 * draw.normal(size=7))]
        lines.append(" ".join([word.title(), *(f"{value:.4f}" for value in numbers)]))
    path = tmp_path_factory.mktemp("vectors") / "small.txt"
    path.write_text("\n".join(lines) + "\n")
    return path


TEXTS = [f"the film was {own[k % SEEN]}" for k in range(40) for own in (GOOD, BAD)]
MOODS = ["pos", "neg"] * 40
UNSEEN = [f"it was {word}" for word in (*GOOD[SEEN:], *BAD[SEEN:])]
RIGHT = ["pos"] * 2 + ["neg"] * 2
TAGGED = [text.split() for text in TEXTS]
TAGS = [["O", "O", "O", mood] for mood in MOODS]


def classifier(file, **options):
    given = {
        "hidden_size": 8,
        "max_epochs": 30,
        "learning_rate": 0.02,
        "min_count": 1,
        "dropout": 0.0,
    }
    return Classifier(**given | options, vectors=file).fit(TEXTS, MOODS)


def tagger(file, **options):
    given = {"hidden_size": 8, "max_epochs": 10, "learning_rate": 0.02, "character_encoder": "none",
             "scheme": "none", "validation_share": 0.0, "dropout": 0.0}  # fmt: skip
    return Tagger(**given | options, vectors=file).fit(TAGGED, TAGS)


@pytest.fixture(scope="module")
def classify(file):
    return classifier(file)


@pytest.fixture(scope="module")
def tag(file):
    return tagger(file)


def test_words_that_training_never_saw_are_understood(file, classify, tag):
    assert classify.predict(UNSEEN).tolist() == RIGHT
    assert [own[-1] for own in tag.predict([text.split() for text in UNSEEN])] == RIGHT
    none = classifier(file, vectors_limit=0)
    assert len(set(none.predict(UNSEEN).tolist())) == 1  # all end in the same unknown word
    assert not tag.encoder_.knows("superb")
    assert tag.encoder_.knows("Fine")


def test_only_words_of_the_training_part_have_corrections(classify, tag):
    seen = {word for text in TEXTS for word in text.split()}
    codec, embedding = classify.inputs_.codec, classify.network_.encoder.embedding.embedding
    assert set(codec.symbols[2 : embedding.corrections.num_embeddings]) == seen
    assert set(codec.symbols) >= {*GOOD, *BAD, *PLAIN}
    words = tag.engine_.network.word_embedding
    assert words.corrections.num_embeddings == len(seen) + 2
    for values in (embedding.values, words.values):
        assert values.shape == (len(seen) + len(GOOD) + len(BAD) - 2 * SEEN + 3, 8)
        assert (values.abs().amax(1) > 0.0).sum() == len(GOOD) + len(BAD) + len(PLAIN)


def test_the_saved_model_needs_no_file(file, tmp_path):
    copy = tmp_path / "copy.txt"
    copy.write_bytes(file.read_bytes())
    models = [classifier(copy), tagger(copy)]
    copy.unlink()
    for model, own in zip(models, (UNSEEN, [text.split() for text in UNSEEN]), strict=True):
        model.save(tmp_path / type(model).__name__)
        again = load(tmp_path / type(model).__name__)
        for a, b in zip(model.predict_proba(own), again.predict_proba(own), strict=True):
            assert np.array_equal(a, b)


def test_the_features_of_a_classifier(classify):
    features = SequenceFeatures(classifier=classify).fit(UNSEEN)
    assert features.transform(UNSEEN).shape == (4, 8)


def test_the_same_seed_gives_the_same_weights(file, classify):
    for a, b in zip(
        classify.network_.state_dict().values(), classifier(file).network_.state_dict().values(),
        strict=True,
    ):  # fmt: skip
        assert torch.equal(a, b)


def test_rare_words_with_a_vector_are_not_unknown(file):
    made = Tagger(max_epochs=1, vectors=file, validation_share=0.0).fit(
        [["the", "superb", "xyzzy"], ["the", "film"]], [["O", "A", "B"], ["O", "O"]]
    )
    rare = made.engine_.network.rare.nonzero()[:, 0].tolist()
    assert [made.encoder_.words[k - 2] for k in rare] == ["xyzzy"]


def test_bad_options(file):
    with pytest.raises(InputError, match="need tokens='words'"):
        classifier(file, tokens="characters")
    with pytest.raises(InputError, match="leave embedding_size out"):
        classifier(file, embedding_size=8)
    with pytest.raises(InputError, match="leave word_size out"):
        tagger(file, word_size=8)
    with pytest.raises(InputError, match=r"none\.txt cannot be read"):
        classifier(file.with_name("none.txt"))


@pytest.mark.parametrize("damage", [[0, 8], [10**6, 8], [5, 10**9], [5, "8"], [5]])
@pytest.mark.parametrize("which", ["classify", "tag"])
def test_damaged_models_are_refused(which, damage, tmp_path, request):
    request.getfixturevalue(which).save(tmp_path / "model")
    path = tmp_path / "model" / "config.json"
    head = json.loads(path.read_text())
    config = head["config"]
    (config["inputs"] if which == "classify" else config)["vectors"] = damage
    path.write_text(json.dumps(head))
    with pytest.raises(ModelDirectoryError):
        load(tmp_path / "model")
