"""Scores, confusions, the baseline, and the errors that training is judged by."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from longspan.data import tagged_text
from longspan.tasks.tag.baselines import MostFrequent
from longspan.tasks.tag.engine import errors
from longspan.tasks.tag.metrics import label_accuracy, span_scores, total
from longspan.tasks.tag.scores import Answers, evaluate, main_metric
from longspan.tasks.tag.spans import SpanLabels, labels_of

TEXT = tagged_text(
    [["to", "New", "York", "now"], ["Rome"], ["from", "Oslo"]],
    [["O", "B-to", "I-to", "O"], ["B-to"], ["O", "B-from"]],
    ["go", "go", "come"],
)


def test_scores_and_mistakes_by_hand():
    labels = [["O", "B-to", "O", "O"], ["B-to"], ["O", "B-to"]]
    own = Answers(labels, ["go", "come", "come"], [0.9, 0.5, 0.7])
    found = evaluate(TEXT, {"model": own}, True, lambda word: word not in ("York", "Oslo"))
    assert found.scores["model"] == pytest.approx(
        {
            "f1": 1 / 3, "precision": 1 / 3, "recall": 1 / 3, "accuracy": 5 / 7,
            "unknown_accuracy": 0.0, "sequence_accuracy": 1 / 3, "intent_accuracy": 2 / 3,
            "frame_accuracy": 0.0,
        }
    )  # fmt: skip
    assert (found.sequences, found.words, found.unknown) == (3, 7, 2)
    assert found.confusions == {("to", "O"): 1, ("from", "to"): 1}
    assert found.intent_confusions == {("go", "come"): 1}
    assert found.labels == {"O": 3, "to": 3, "from": 1}
    assert {name: (s.gold, s.found, s.right) for name, s in found.types.items()} == {
        "from": (1, 0, 0), "to": (2, 3, 1),
    }  # fmt: skip
    assert [m.words[0] for m in found.worst] == ["to", "from", "Rome"]
    assert [m.probability for m in found.surest] == [0.9, 0.7, 0.5]
    assert found.surest[2].intents == ("go", "come")
    assert [m.wrong for m in found.worst] == [1, 1, 0]
    assert main_metric(found.scores["model"]) == "f1"


def test_plain_labels_have_no_spans():
    text = tagged_text([["a", "b"]], [["x", "y"]])
    found = evaluate(text, {"model": Answers([["x", "x"]])}, False, lambda word: True)
    assert found.scores["model"] == {"accuracy": 0.5, "sequence_accuracy": 0.0}
    assert found.confusions == {("y", "x"): 1}
    assert found.types == {}
    assert main_metric(found.scores["model"]) == "accuracy"
    right = evaluate(text, {"model": Answers(text.labels)}, False, lambda word: True)
    assert right.worst == right.surest == ()


def test_the_most_frequent_label_of_each_word():
    text = tagged_text(
        [["a", "b", "a"], ["a", "c"], ["B"]], [["x", "y", "z"], ["x", "y"], ["x"]], ["i", "j", "j"]
    )
    baseline = MostFrequent.fit(text)
    assert baseline.predict([["a", "b", "B", "new"], []]) == [["x", "y", "x", "x"], []]
    assert baseline.intent == "j"
    assert MostFrequent.from_dict(baseline.to_dict()) == baseline
    assert MostFrequent.fit(tagged_text([["a"]], [["x"]])).intent is None
    tied = MostFrequent.fit(tagged_text([["a", "a"]], [["y", "x"]]))
    assert tied.predict([["a"]]) == [["x"]]


@pytest.mark.parametrize("spans", [True, False])
def test_errors_of_batches_add_up_to_the_score(spans):
    rng = np.random.default_rng(0)
    names = labels_of(["a", "b"], "bioes")
    lengths = [5, 0, 3, 1, 7]
    gold, found = ([rng.integers(0, len(names), n) for n in lengths] for _ in range(2))

    def padded(rows):
        whole = torch.full((8, len(rows)), -1)
        for b, row in enumerate(rows):
            whole[: len(row), b] = torch.from_numpy(row)
        return whole

    table = SpanLabels(names) if spans else None
    sums = np.zeros(2)
    for part in (slice(0, 2), slice(2, 5), slice(1, 2)):
        ((wrong, weight),) = errors(
            padded(gold[part]), padded(found[part]), torch.tensor(lengths[part]), table
        )
        sums += (wrong, weight)
    right, judged = ([[names[k] for k in own] for own in part] for part in (gold, found))
    expected = label_accuracy(right, judged)
    if spans:
        expected = total(span_scores(right, judged)).f1
    assert 0.0 < expected < 1.0
    assert 1.0 - sums[0] / sums[1] == pytest.approx(expected)
