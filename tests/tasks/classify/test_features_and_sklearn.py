"""`SequenceFeatures`, and both estimators inside scikit-learn."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
import torch
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from sklearn.utils.estimator_checks import check_estimator

import longspan
from longspan import Classifier, SequenceFeatures
from longspan.errors import InputError
from longspan.tasks.classify import reconstruction
from longspan.tasks.classify.autoencoder import Autoencoder
from longspan.tasks.classify.config import FeaturesConfig
from longspan.tasks.classify.network import Batch, InputShape

RNG = np.random.default_rng(0)
LABELS = np.array(["slow", "fast"])[np.arange(60) % 2]
SERIES = [
    np.sin((0.3 if name == "slow" else 1.2) * np.arange(n) + RNG.uniform(0, 6))
    for name, n in zip(LABELS, RNG.integers(8, 21, 60), strict=True)
]
TEXTS = [f"{'good' if k % 2 else 'bad'} word{k % 3}" for k in range(60)]
SMALL = {"hidden_size": 8, "max_epochs": 3}


def features(**options):
    return SequenceFeatures(**(SMALL | options))


def test_an_lstm_and_a_support_vector_machine():
    learner = features(hidden_size=16, max_epochs=60, learning_rate=0.01)
    model = make_pipeline(learner, StandardScaler(), SVC())
    assert model.fit(SERIES[:40], LABELS[:40]).score(SERIES[40:], LABELS[40:]) > 0.8
    losses = [record["loss"] for record in learner.history_.steps]
    assert np.mean(losses[-5:]) < 0.7 * np.mean(losses[:5])


@pytest.mark.parametrize("data", [SERIES, TEXTS, np.ones((60, 4, 3), np.uint8) * np.arange(3)])
def test_any_input_and_saved_it_does_the_same(data, tmp_path):
    model = features(pooling="mean", bidirectional=True, embedding_size=5).fit(data)
    found = model.transform(data)
    assert found.shape == (60, 16)
    assert found.dtype == np.float32
    np.testing.assert_allclose(model.transform(data[5:6])[0], found[5], atol=1e-6)
    assert model.get_feature_names_out().tolist()[:2] == ["sequencefeatures0", "sequencefeatures1"]
    model.save(tmp_path / "m")
    loaded = longspan.load(tmp_path / "m")
    np.testing.assert_array_equal(loaded.transform(data), found)
    assert loaded.get_params() == model.get_params()


def test_channels_are_found_by_their_names(tmp_path):
    table = pl.DataFrame(
        [{"id": k, "a": x, "b": 9.0 - t} for k, each in enumerate(SERIES)
         for t, x in enumerate(each)]
    )  # fmt: skip
    turned = table.select("b", "id", "a", pl.lit(1).alias("extra"))
    model = features().fit(table, test=turned)
    model.save(tmp_path / "m")
    for each in (model, longspan.load(tmp_path / "m")):
        np.testing.assert_array_equal(each.transform(turned), each.transform(table))
        with pytest.raises(InputError, match="'b'"):
            each.transform(table.drop("b"))
    labelled = table.with_columns(label=pl.col("id") % 2)
    of_classes = SequenceFeatures(classifier=Classifier(**SMALL)).fit(labelled)
    turned = labelled.select("b", "id", "a")
    np.testing.assert_array_equal(of_classes.transform(turned), of_classes.transform(table))


def test_the_features_of_a_classifier(tmp_path):
    classifier = Classifier(**SMALL).fit(SERIES, LABELS)
    taken = SequenceFeatures(classifier=classifier).fit(SERIES)
    np.testing.assert_array_equal(taken.transform(SERIES), classifier.features(SERIES))
    taken.save(tmp_path / "m")
    loaded = longspan.load(tmp_path / "m")
    np.testing.assert_array_equal(loaded.transform(SERIES), taken.transform(SERIES))
    model = make_pipeline(SequenceFeatures(classifier=Classifier(**SMALL)), SVC())
    model.fit(SERIES, LABELS)
    np.testing.assert_array_equal(model[0].transform(SERIES), taken.transform(SERIES))
    assert not hasattr(model[0].classifier, "network_")  # what was given stays as it was
    with pytest.raises(InputError, match="must be a longspan"):
        SequenceFeatures(classifier=SVC()).fit(SERIES)
    with pytest.raises(NotFittedError):
        SequenceFeatures().transform(SERIES)


@pytest.mark.parametrize("kind", ["series", "text"])
def test_the_autoencoders_loss_is_that_of_plain_torch(kind):
    torch.manual_seed(0)
    shape = InputShape(kind, 5, 6)
    ours = Autoencoder(FeaturesConfig(hidden_size=4, embedding_size=3), shape)
    lengths = torch.tensor([6, 2])
    inputs = torch.randn(6, 2, 5) if kind == "series" else torch.randint(0, 5, (6, 2))
    found = ours(Batch(inputs, lengths))
    vectors = ours.encoder(Batch(inputs, lengths))
    lstm = torch.nn.LSTM(4, 4)
    lstm.load_state_dict(ours.decoder.state_dict())
    for row, length in enumerate(lengths.tolist()):
        h, _ = lstm(vectors[row].expand(length, -1))
        written, target = ours.output(h), inputs[:length, row].flip(0)
        if kind == "series":
            expected = (written - target).square().mean(-1)
        else:
            expected = torch.nn.functional.cross_entropy(written, target, reduction="none")
        torch.testing.assert_close(found[:length, row], expected, rtol=1e-5, atol=1e-6)
        assert (found[length:, row] == 0).all()


@pytest.mark.parametrize("kind", ["series", "text"])
def test_what_vectors_hold_is_scored_beside_the_mean(kind):
    data = {"series": SERIES, "text": TEXTS}[kind]
    options = {"hidden_size": 16, "max_epochs": 40, "learning_rate": 0.01, "embedding_size": 4}
    model = SequenceFeatures(**options).fit(data[:40], test=data[40:])
    own, usual = (found["error"] for found in model.evaluation_.scores.values())
    assert model.evaluation_.sequences == 20
    assert own < 0.9 * usual
    assert model.evaluation_.held == 1 - own / usual
    if kind == "series":
        steps = np.concatenate(data[:40])
        others = (np.concatenate(data[40:]) - steps.mean()) / steps.std()
        np.testing.assert_allclose(usual, np.mean(others**2), rtol=1e-5)
    else:
        tokens = [model.inputs_.encode(part).values.numpy() for part in (data[:40], data[40:])]
        counts = np.bincount(tokens[0], minlength=len(model.inputs_.codec.symbols)) + 1
        expected = np.mean([np.log(counts.sum() / counts[token]) for token in tokens[1]])
        np.testing.assert_allclose(usual, expected)


def test_a_test_part_is_held_out_from_everything():
    wild = [*SERIES[:20], np.full(9, 1e6)]
    assert abs(SequenceFeatures(**SMALL).fit(SERIES[:20], test=wild[20:]).inputs_.mean[0]) < 1.0
    first, second = (
        SequenceFeatures(**SMALL).fit(SERIES, test_share=share) for share in (0.0, 0.25)
    )
    assert first.evaluation_ is None
    assert first.run_.facts["training sequences"] == 60
    assert second.run_.facts["training sequences"] == 45
    assert second.evaluation_.sequences == 15
    with pytest.raises(InputError, match="must have the 1 channels"):
        SequenceFeatures(**SMALL).fit(SERIES, test=np.zeros((2, 3, 2)))
    with pytest.raises(InputError, match="or there is but one"):
        SequenceFeatures(**SMALL).fit(SERIES[:1], test_share=0.2)
    with pytest.raises(InputError, match="give it fitted"):
        SequenceFeatures(classifier=Classifier(**SMALL)).fit(SERIES, LABELS, test_share=0.2)


def test_a_classifier_takes_the_place_of_an_autoencoder():
    model = features().fit(SERIES, test_share=0.2)
    assert model.evaluation_ is not None
    model.set_params(classifier=Classifier(**SMALL)).fit(SERIES, LABELS)
    assert model.evaluation_ is None
    assert not hasattr(model, "run_")


def test_vectors_as_a_table_and_in_a_picture(monkeypatch):
    model = features().fit(SERIES)
    table = model.answer(SERIES[:3])
    assert table.columns == ["id", *(f"f{k}" for k in range(8))]
    np.testing.assert_array_equal(table.drop("id").to_numpy(), model.transform(SERIES[:3]))
    points, shares = model.run_.picture.points, model.run_.picture.shares
    vectors = model.transform(SERIES).astype(float)
    centred = vectors - vectors.mean(0)
    variances = np.linalg.svd(centred, compute_uv=False) ** 2
    np.testing.assert_allclose(shares, (variances / variances.sum())[:2], rtol=1e-3)
    np.testing.assert_allclose((points**2).sum(0), variances[:2], rtol=1e-3)
    monkeypatch.setattr(reconstruction, "POINTS", 10)
    some = features().fit(SERIES).run_.picture
    assert some.points.shape == (10, 2)
    same = features().fit(np.ones((5, 4)))  # vectors without any variance
    np.testing.assert_array_equal(same.run_.picture.points, np.zeros((5, 2)))


def test_searches_and_cross_validation():
    search = GridSearchCV(
        Classifier(max_epochs=2), {"hidden_size": [2, 4], "pooling": ["mean"]}, cv=2
    )
    search.fit(np.stack([each[:8] for each in SERIES]), LABELS)
    assert search.best_params_["hidden_size"] in (2, 4)
    assert search.best_estimator_.network_.encoder.pooling.kind == "mean"
    scores = cross_val_score(Classifier(**SMALL), TEXTS, LABELS, cv=3)
    assert scores.shape == (3,)
    assert np.isfinite(scores).all()
    chain = make_pipeline(SequenceFeatures(classifier=Classifier(**SMALL)), SVC())
    assert np.isfinite(cross_val_score(chain, SERIES, LABELS, cv=2)).all()
    copy = clone(Classifier(**SMALL, class_weight={"slow": 2.0}))
    assert copy.get_params()["class_weight"] == {"slow": 2.0}


#: What scikit-learn asks of tables and not of sequences.
ANY_LENGTH = "a sequence may have another number of steps than those in training"
EXPECTED = {
    "check_n_features_in_after_fitting": ANY_LENGTH,
    "check_classifiers_train": ANY_LENGTH + "; all else of it passes",
    "check_transformer_general": ANY_LENGTH + "; all else of it passes",
    "check_dtype_object": "mistakes in the data are InputError, a ValueError, not TypeError",
}


@pytest.mark.parametrize(
    "estimator",
    [
        Classifier(hidden_size=8, max_epochs=30, learning_rate=0.02, pooling="mean"),
        features(hidden_size=4, max_epochs=2),
    ],
    ids=["classifier", "features"],
)
@pytest.mark.filterwarnings("ignore")
def test_scikit_learns_own_checks(estimator):
    results = check_estimator(
        estimator, expected_failed_checks=EXPECTED, on_fail=None, on_skip=None
    )
    failed = [r["check_name"] for r in results if r["status"] == "failed"]
    assert failed == []
    assert sum(r["status"] == "passed" for r in results) > 30
