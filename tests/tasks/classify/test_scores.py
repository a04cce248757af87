"""Scores of classes and probabilities, beside scikit-learn's."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import softmax
from sklearn import metrics as reference

from longspan.errors import InputError
from longspan.tasks.classify.config import ClassifyConfig
from longspan.tasks.classify.engine import encoder_of, temperature_of
from longspan.tasks.classify.given import classes_of, held_out, labels_of, numbers_of
from longspan.tasks.classify.network import InputShape
from longspan.tasks.classify.scores import evaluate, roc_curve


@pytest.fixture(params=[2, 4])
def drawn(request):
    rng = np.random.default_rng(request.param)
    k = request.param
    p = softmax(rng.normal(size=(200, k)).round(1), axis=1)
    return p, rng.integers(0, k, 200), k


def test_equal_to_scikit_learns(drawn):
    p, y, k = drawn
    found = evaluate(p, y, k, list(range(k)), np.full(k, 1 / k))
    hard, scores = p.argmax(1), found.scores["model"]
    assert scores["accuracy"] == pytest.approx(reference.accuracy_score(y, hard))
    assert scores["balanced_accuracy"] == pytest.approx(reference.balanced_accuracy_score(y, hard))
    assert scores["macro_f1"] == pytest.approx(reference.f1_score(y, hard, average="macro"))
    assert scores["log_loss"] == pytest.approx(reference.log_loss(y, p))
    assert scores["brier"] == pytest.approx(((p - np.eye(k)[y]) ** 2).sum(1).mean())
    np.testing.assert_array_equal(found.confusion, reference.confusion_matrix(y, hard))
    for n, name in enumerate(("precision", "recall", "f1")):
        expected = reference.precision_recall_fscore_support(y, hard)[n]
        ours = [getattr(found.per_class[label], name) for label in range(k)]
        np.testing.assert_allclose(ours, expected)
    assert sum(b[3] for b in found.bins) == 200
    if k == 2:
        assert scores["roc_auc"] == pytest.approx(reference.roc_auc_score(y, p[:, 1]))
        false, true, _ = reference.roc_curve(y, p[:, 1], drop_intermediate=False)
        np.testing.assert_allclose(found.roc, np.stack([false, true], 1))
        assert np.trapezoid(found.roc[:, 1], found.roc[:, 0]) == pytest.approx(scores["roc_auc"])
    else:
        assert "roc_auc" not in scores
        assert len(found.roc) == 0


def test_calibration_error_by_hand():
    p = np.array([[0.95, 0.05], [0.05, 0.95], [0.62, 0.38], [0.66, 0.34]])
    found = evaluate(p, np.array([0, 0, 0, 1]), 2, ["a", "b"], np.array([0.5, 0.5]))
    # Two at 0.95, half of them right; two at 0.64, half of them right.
    assert found.scores["model"]["ece"] == pytest.approx((2 * 0.45 + 2 * 0.14) / 4)
    assert [(b[0], b[3]) for b in found.bins] == [(0.6, 2), (0.9, 2)]


def test_unknown_labels_count_as_wrong():
    p = np.array([[0.9, 0.1], [0.2, 0.8], [0.7, 0.3]])
    found = evaluate(p, np.array([0, 1, 2]), 2, ["a", "b", "c"], np.array([0.5, 0.5]))
    scores = found.scores["model"]
    assert scores["accuracy"] == pytest.approx(2 / 3)
    assert scores["balanced_accuracy"] == pytest.approx(2 / 3)
    assert scores["log_loss"] == pytest.approx(-np.log([0.9, 0.8]).mean())
    assert found.per_class["c"].support == 1
    assert found.per_class["c"].recall == found.per_class["c"].f1 == 0.0
    assert "1 of 3 sequences have labels that training did not have ('c')" in found.notes[0]
    none = evaluate(p[:1], np.array([2]), 2, ["a", "b", "c"], np.array([0.5, 0.5]))
    assert np.isnan(none.scores["model"]["log_loss"])
    assert none.scores["model"]["accuracy"] == 0.0


def test_a_class_that_is_never_there():
    p = np.array([[0.9, 0.1], [0.8, 0.2]])
    found = evaluate(p, np.array([0, 0]), 2, ["a", "b"], np.array([0.5, 0.5]))
    assert found.scores["model"]["balanced_accuracy"] == 1.0
    assert np.isnan(found.scores["model"]["roc_auc"])
    assert len(roc_curve(p[:, 1], np.array([0, 0]))) == 0
    assert found.per_class["b"].precision == 0.0
    with pytest.raises(InputError, match="at least one"):
        evaluate(p[:0], np.zeros(0, int), 2, ["a", "b"], np.array([0.5, 0.5]))


def test_the_temperature_undoes_a_scale():
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(20000, 3)) * 2
    y = np.array([rng.choice(3, p=p) for p in softmax(logits, axis=1)])
    assert temperature_of(4.0 * logits, y) == pytest.approx(4.0, rel=0.05)
    assert temperature_of(0.5 * logits, y) == pytest.approx(0.5, rel=0.05)


def test_parts_are_held_out_by_class():
    numbers = np.array([0] * 50 + [1] * 10 + [2])
    out = held_out(numbers, 0.2, seed=3)
    assert [int(out[numbers == k].sum()) for k in range(3)] == [10, 2, 0]
    assert (out == held_out(numbers, 0.2, seed=3)).all()
    assert (out != held_out(numbers, 0.2, seed=4)).any()
    assert held_out([0, 0, 1, 1], 0.05, 0).sum() == 1
    assert held_out([0, 0], 0.99, 0).sum() == 1
    assert not held_out([0, 0], 0.0, 0).any()
    with pytest.raises(InputError, match="Nothing can be held out"):
        held_out([0, 1], 0.5, 0)


def test_labels_of_any_type():
    for labels in (["b", "a"], [3, -1], [True, False], np.array(["b", "a"], object), [2.0, 1.0]):
        classes, numbers = classes_of(labels_of(labels))
        assert numbers.tolist() == [1, 0]
        assert classes[numbers].tolist() == list(labels)
    numbers, names = numbers_of(np.array(["a", "z", "b", "z"]), np.array(["a", "b"]))
    assert numbers.tolist() == [0, 2, 1, 2]
    assert names == ["a", "b", "z"]


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (np.array(["a", None], object), "Label 1 .* is missing"),
        (np.array(["a", 1], object), "several types"),
        ([0.5, 0.25, 0.1], "continuous"),
        ([1.0, np.nan], "NaN or infinity, at 1"),
        ([[1, 0], [0, 1]], "1d array"),
    ],
)
def test_bad_labels(labels, message):
    with pytest.raises(InputError, match=message):
        labels_of(labels)


def test_defaults_that_depend_on_the_number_of_sequences():
    config = ClassifyConfig()
    assert [config.batch_of(n) for n in (3, 60, 320, 9000)] == [4, 6, 32, 32]
    assert [config.share_of(n) for n in (999, 1000)] == [0.0, 0.1]
    assert ClassifyConfig(calibrate=True).share_of(50) == 0.1
    assert ClassifyConfig(validation_share=0.3, batch_size=7).share_of(50) == 0.3
    assert ClassifyConfig(batch_size=7).batch_of(9000) == 7


def test_few_units_beside_convolutions_that_see_whole_channels():
    units = {
        8: {"front": "lstm_fcn"},
        128: {"front": "lstm_fcn", "dimension_shuffle": False},
        64: {"front": "lstm_fcn", "hidden_size": 64},
        5: {"front": "cnn", "hidden_size": 5},
    }
    for number, options in units.items():
        config = ClassifyConfig(**options)
        assert config.units == number
        encoder = encoder_of(config, InputShape("series", 2, 30))
        assert encoder.recurrent.hidden_size == number
    assert ClassifyConfig(hidden_size="none").units == 128
