"""The estimator: what it learns, what it must not see, and what goes in and out."""

from __future__ import annotations

import json
from itertools import product

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from tests.tasks.tag.conftest import requests, small

import longspan
from longspan import Tagger
from longspan.data import read_tagged
from longspan.errors import CheckpointError, InputError
from longspan.tasks.tag import engine as engine_module
from longspan.tasks.tag.baselines import MOST_FREQUENT
from longspan.tasks.tag.spans import convert


def weights(model):
    return model.engine_.network.state_dict()


def equal(a, b):
    return all(torch.equal(value, weights(b)[name]) for name, value in weights(a).items())


def test_it_learns_what_can_be_learnt():
    """Towns of the test part are new words: what stands before them says what they are."""
    model = small(hidden_size=16, max_epochs=12, learning_rate=0.02).fit(
        *requests(200), test=requests(50, seed=1)
    )
    scores = model.evaluation_.scores
    assert scores["model"]["f1"] > 0.98
    assert scores["model"]["intent_accuracy"] == 1.0
    assert scores["model"]["frame_accuracy"] > 0.95
    assert scores["model"]["unknown_accuracy"] > 0.98
    assert scores[MOST_FREQUENT]["f1"] < 0.2
    assert model.evaluation_.unknown > 50
    words = ["show", "me", "to", "New", "Xaville", "from", "Yoville"]
    assert model.predict([words]) == [["O", "O", "O", "B-to", "I-to", "O", "B-from"]]
    assert model.predict_intent([words]) == ["list"]
    errors = [record["validation_error"] for record in model.history_.epochs]
    assert errors[model.history_.best_epoch - 1] == min(errors)


def test_transitions_are_learnt_where_words_say_nothing():
    """Labels without any input, of which the second follows from the first."""
    rng = np.random.default_rng(0)
    labels = [[["a", "b"], ["c", "d"]][k] for k in rng.integers(0, 2, 200)]
    words = [["x", "x"]] * 200
    options = {"max_epochs": 15, "learning_rate": 0.05, "dropout": 0.0, "validation_share": 0.0}
    ways = small(**options).fit(words, labels).predict_k_best(words[:1], 4)[0]
    assert sorted(way.labels for way in ways[:2]) == [["a", "b"], ["c", "d"]]
    assert ways[0].probability + ways[1].probability > 0.95
    alone = small(crf=False, **options).fit(words, labels).predict_k_best(words[:1], 4)[0]
    assert max(way.probability for way in alone) < 0.5


@pytest.mark.parametrize("crf", [True, False])
@pytest.mark.parametrize("character_encoder", ["cnn", "lstm", "none"])
@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_cells_and_encoders(cell, character_encoder, crf, data):
    model = small(cell=cell, character_encoder=character_encoder, crf=crf, num_layers=2,
                  recurrent_dropout=0.1, max_epochs=3, learning_rate=0.02)  # fmt: skip
    model.fit(*data)
    losses = [record["train_loss"] for record in model.history_.epochs]
    assert losses[-1] < losses[0]
    assert (model.run_.transitions is None) is not crf


@pytest.mark.parametrize("inner", ["auto", "bio", "bioes", "none"])
@pytest.mark.parametrize("scheme", ["bio", "iob1", "bioes"])
def test_predictions_are_well_formed_in_the_scheme_of_the_data(scheme, inner):
    """Even of a network that has learnt next to nothing; plain labels may do what they like."""
    model = small(scheme=inner, max_steps=1).fit(*requests(30, scheme=scheme))
    found = model.predict(requests(40, seed=2)[0])
    assert len({label for own in found for label in own}) > 1
    if inner == "none":
        assert model.encoder_.scheme is None
        assert bool(model.engine_.network.chain.transitions_allowed.all())
        return
    assert not bool(model.engine_.network.chain.transitions_allowed.all())
    assert model.encoder_.scheme == scheme
    assert all(convert(own, scheme) == own for own in found)


@pytest.mark.parametrize("scheme", ["bio", "iob1", "bioes", "none"])
@pytest.mark.parametrize("crf", [True, False])
def test_probabilities_are_those_of_all_labellings(scheme, crf, data):
    """Of a sequence so short that all its labellings can be looked at."""
    words, labels, intents = data
    given = scheme if scheme != "none" else "bio"
    labels = [convert(own, given) for own in labels]
    model = small(crf=crf, max_steps=8, scheme="none" if scheme == "none" else "auto")
    model.fit(words, labels, intents)
    sequence = ["show", "Newville", "to"]
    ways = model.predict_k_best([sequence], 200)[0]
    assert sum(way.probability for way in ways) == pytest.approx(1.0, abs=1e-6)
    assert [w.probability for w in ways] == sorted((w.probability for w in ways), reverse=True)
    assert len({tuple(way.labels) for way in ways}) == len(ways)
    assert model.predict([sequence])[0] == ways[0].labels
    assert model._answers(model._words([sequence])).probability[0] == pytest.approx(
        ways[0].probability, abs=1e-9
    )
    columns = {name: k for k, name in enumerate(model.classes_)}
    expected = np.zeros((3, len(columns)))
    for way in ways:
        in_bio = convert(way.labels, "bio") if scheme == "iob1" else way.labels
        for step, label in enumerate(in_bio):
            expected[step, columns[label]] += way.probability
    (found,) = model.predict_proba([sequence])
    np.testing.assert_allclose(found, expected, atol=1e-6)
    chances = model.predict_intent_proba([sequence, []])
    assert chances.shape == (2, 2)
    np.testing.assert_allclose(chances.sum(1), 1.0, atol=1e-6)
    assert model.predict_intent([sequence]) == [model.intents_[chances[0].argmax()]]


def test_each_sequence_is_labelled_as_if_it_were_alone(fitted, monkeypatch):
    words = [*requests(15, seed=3)[0], [], ["to"], ["New"] * 70]
    together, intents = fitted.predict_proba(words), fitted.predict_intent_proba(words)
    labels = fitted.predict(words)
    for own, found, labelled, intent in zip(words, together, labels, intents, strict=True):
        np.testing.assert_allclose(fitted.predict_proba([own])[0], found, atol=1e-6)
        assert fitted.predict([own]) == [labelled]
        np.testing.assert_allclose(fitted.predict_intent_proba([own])[0], intent, atol=1e-6)
    monkeypatch.setattr(engine_module, "WORDS_AT_ONCE", 20)  # in other batches
    assert fitted.predict(words) == labels
    assert [len(own) for own in labels] == [len(own) for own in words]


def test_the_vocabulary_sees_the_training_part_alone(data):
    words, labels, intents = data
    new = ([["Ärger", "to"]] * 3, [["B-anger", "O"]] * 3, ["rage"] * 3)
    model = small().fit(words, labels, intents, validation=new, test=new)
    assert "ärger" not in model.encoder_.words
    assert "Ä" not in model.encoder_.characters
    assert model.intents_ == ["book", "list"]
    assert not any("anger" in label for label in model.encoder_.labels)
    assert model.evaluation_.unknown == 3
    notes = " ".join(model.run_.notes)
    assert "The validation part has labels that training did not see" in notes
    assert (
        "The test part has intents that training did not see, which count as wrong: rage" in notes
    )
    scores = model.evaluation_.scores["model"]
    assert scores["recall"] == scores["sequence_accuracy"] == scores["intent_accuracy"] == 0.0
    assert all(np.isfinite(e["validation_loss"]) for e in model.history_.epochs)
    drawn = small(validation_share=0.5).fit(words, labels)
    assert drawn.run_.facts["training sequences"] == 30
    known = {drawn.encoder_.normal(w) for own in words for w in own}
    assert set(drawn.encoder_.words) < known


def test_the_test_part_changes_nothing(data):
    first = small().fit(*data, test=requests(5, seed=1))
    second = small().fit(*data, test=([["something", "else"]], [["O", "B-new"]], ["list"]))
    assert equal(first, second)
    assert first.evaluation_.scores != second.evaluation_.scores


def test_parts_are_drawn_and_do_not_meet():
    words = [[f"w{k}"] for k in range(40)]
    labels, options = [["x"], ["y"]] * 20, {"validation_share": 0.25, "digits": False}
    model = small(**options).fit(words, labels, test_share=0.25)
    facts = model.run_.facts
    assert facts["training sequences"] == len(model.encoder_.words) == 22
    assert facts["validation sequences"] == 8
    assert facts["test sequences"] == model.evaluation_.unknown == 10
    again = small(**options).fit(words, labels, test_share=0.25)
    assert again.encoder_.words == model.encoder_.words


def test_same_seed_same_numbers_and_other_seed_others(fitted, data):
    again = small(dropout=0.1).fit(*data, test=requests(20, seed=1))
    assert equal(fitted, again)
    assert fitted.evaluation_ == again.evaluation_
    assert not equal(fitted, small(dropout=0.1, seed=1).fit(*data))


class StoppedError(Exception):
    pass


def test_stopped_in_mid_epoch_and_resumed_is_bit_identical(tmp_path, monkeypatch, data):
    options = {"dropout": 0.3, "recurrent_dropout": 0.2, "rare_rate": 0.5, "max_epochs": 3}
    whole = small(**options).fit(*data, checkpoint_dir=tmp_path / "w", log_dir=tmp_path / "a")
    steps, calls = len(whole.history_.steps), []
    original = engine_module.Engine._sum

    def stop(self, *arguments):
        calls.append(None)
        if len(calls) == steps * 3 // 4:
            raise StoppedError
        return original(self, *arguments)

    run = {"checkpoint_dir": tmp_path / "s", "checkpoint_every": 2, "log_dir": tmp_path / "b"}
    monkeypatch.setattr(engine_module.Engine, "_sum", stop)
    with pytest.raises(StoppedError):
        small(**options).fit(*data, **run)
    monkeypatch.setattr(engine_module.Engine, "_sum", original)
    resumed = small(**options).fit(*data, resume=True, **run)
    assert equal(whole, resumed)
    assert whole.history_ == resumed.history_
    logs = [(tmp_path / name / "log.jsonl").read_bytes() for name in "ab"]
    assert logs[0] == logs[1]
    words, labels, intents = data
    for other in ((words, labels, intents[::-1]), ([w[::-1] for w in words], labels, intents)):
        with pytest.raises(CheckpointError, match="text"):
            small(**options).fit(*other, resume=True, **run)


def test_files_and_lists_are_one(tmp_path, data):
    words, labels, intents = data
    rows = [
        "\n".join(f"{w}\tx\t{x}" for w, x in zip(*each, strict=True))
        for each in zip(words, labels, strict=True)
    ]
    (tmp_path / "a.tsv").write_text("\n\n".join(rows))
    lines = [
        json.dumps({"tokens": w, "tags": x, "intent": i})
        for w, x, i in zip(words, labels, intents, strict=True)
    ]
    (tmp_path / "a.jsonl").write_text("\n".join(lines))
    columns = small(max_steps=3).fit(tmp_path / "a.tsv")
    assert columns.title_ == "a.tsv"
    assert equal(columns, small(max_steps=3).fit(words, labels))
    assert columns.predict(tmp_path / "a.tsv") == columns.predict(words)
    joint = small(max_steps=3).fit(str(tmp_path / "a.jsonl"))
    assert equal(joint, small(max_steps=3).fit(*data))
    assert equal(joint, small(max_steps=3).fit(read_tagged(tmp_path / "a.jsonl")))
    assert joint.evaluate(tmp_path / "a.jsonl") == joint.evaluate(*data)
    turned = small(max_steps=3).fit(tmp_path / "a.tsv", word_column=1, label_column=0)
    assert turned.encoder_.words == ["x"]
    assert turned.predict(tmp_path / "a.tsv", word_column=1)


def test_scores_of_plain_labels(plain):
    scores = plain.evaluation_.scores["model"]
    assert sorted(scores) == ["accuracy", "sequence_accuracy"]
    assert plain.classes_ == ["DET", "NOUN", "VERB"]
    words = [["a", "cat"], ["dogs"]]
    assert plain.score(words, plain.predict(words)) == 1.0
    assert plain.score(words, [["x", "x"], ["x"]]) == 0.0
    assert plain.evaluation_.types == {}


def test_the_score_of_spans_is_their_f1(fitted):
    words = requests(10, seed=5)[0]
    assert fitted.score(words, fitted.predict(words)) in (0.0, 1.0)  # 0 if it finds no span at all
    gold = requests(10, seed=5)[1]
    assert fitted.score(words, gold) == fitted.evaluate(words, gold).scores["model"]["f1"]


@pytest.mark.parametrize("scheme", ["bio", "iob1", "bioes"])
def test_the_same_spans_in_another_scheme_get_the_same_scores(scheme):
    words, labels, intents = requests(20, seed=1)
    tests = [(words, [convert(own, name) for own in labels], intents)
             for name in ("bio", "iob1", "bioes")]  # fmt: skip
    model = small(max_epochs=4, learning_rate=0.02, validation_share=0.0)
    model.fit(*requests(60, scheme=scheme), test=tests[0 if scheme == "bioes" else 2])
    assert model.evaluation_.scores["model"]["accuracy"] > 0.5
    assert all(model.evaluate(*test) == model.evaluation_ for test in tests)
    assert not any("did not see" in note for note in model.run_.notes)


def test_the_shortest_and_longest(data):
    one = small().fit([["a"]], [["x"]])
    assert one.predict([["a"], [], ["b"] * 300]) == [["x"], [], ["x"] * 300]
    assert "one label alone, 'x'" in one.run_.notes[0]
    assert one.history_.best_epoch is None  # a tenth of one sequence is no validation part
    assert one.predict([]) == []
    assert one.predict([[]]) == [[]]
    assert one.predict_proba([[]])[0].shape == (0, 1)
    assert one.predict_k_best([[], ["a"]], 3) == [[([], 1.0)], [(["x"], 1.0)]]
    words, labels, _ = data
    some = small().fit([[], *words], [[], *labels], ["list", *["book"] * len(words)])
    assert any("without words are left out" in note for note in some.run_.notes)
    alone = small(max_steps=2).fit(words, labels, ["book"] * len(words))
    assert alone.predict_intent([[], ["a"]]) == ["book", "book"]
    pairs = small().fit([["a", "b"]] * 9, [["B-x", "I-x"]] * 9)
    assert [len(own) for own in pairs.predict([["a"], ["a"] * 3])] == [1, 3]
    nothing = small().fit([["a", "b"]] * 9, [["O", "O"]] * 9)
    assert nothing.evaluate([["a"]], [["B-x"]]).scores["model"] == {
        "accuracy": 0.0, "sequence_accuracy": 0.0,
    }  # fmt: skip


def test_words_and_characters_never_seen(fitted):
    for words in (["日本", "🙂"], ["\u0301"], ["a" * 500], [" "]):
        assert len(fitted.predict([words])[0]) == len(words)
    model = small(max_steps=1).fit([["CAFE\u0301", "7", "b8"]] * 5, [["x", "y", "y"]] * 5)
    assert model.encoder_.words == ["café", "0", "b0"]
    assert model.encoder_.knows("caf\u00e9")
    assert model.encoder_.knows("9")
    as_it_is = small(max_steps=1, lowercase=False, digits=False).fit([["A", "7"]], [["x", "y"]])
    assert as_it_is.encoder_.words == ["A", "7"]
    twice = small(max_steps=1, min_count=2).fit([["a", "b", "a"]], [["x", "y", "x"]])
    assert twice.encoder_.words == ["a"]


def test_rare_words_are_taken_for_unknown_ones_at_times(data):
    network = small(max_steps=1, rare_rate=0.5).fit(*data).engine_.network
    rare = network.rare.nonzero()[:, 0]
    assert 0 < len(rare) < len(network.rare) - 2
    torch.manual_seed(0)
    words = torch.arange(len(network.rare)).repeat(400, 1)
    network.train()
    share = (network._with_unknown(words) != words).double().mean(0)
    assert (share[rare] - 0.5).abs().max() < 0.15
    share[rare] = 0.0
    assert not share.any()
    network.eval()
    assert torch.equal(network._with_unknown(words), words)


def test_scikit_learns_protocol():
    model = small(cell="gru")
    copy = clone(model)
    assert copy.get_params() == model.get_params()
    assert copy.set_params(hidden_size=4).hidden_size == 4
    methods = ("predict", "predict_proba", "predict_k_best", "predict_intent", "evaluate", "score",
               "predict_intent_proba", "save")  # fmt: skip
    for method in methods:
        with pytest.raises(NotFittedError):
            getattr(model, method)([["a"]])
    with pytest.raises(NotFittedError):
        _ = model.classes_
    assert longspan.Tagger is Tagger


BAD_OPTIONS = {
    "`cell` = 'rnn'": {"cell": "rnn"},
    "even character_size": {"character_encoder": "lstm", "character_size": 5},
    "`dropout` = 1.0": {"dropout": 1.0},
    "needs labels of spans": {"scheme": "bioes"},
    "`validation_share` = 1": {"validation_share": 1.0},
}


@pytest.mark.parametrize("message", BAD_OPTIONS)
def test_bad_options(message):
    with pytest.raises(InputError) as caught:
        small(**BAD_OPTIONS[message]).fit([["a"]] * 9, [["noun"]] * 9)
    assert message in str(caught.value)


def test_bad_data(tmp_path, fitted, plain, data):
    (tmp_path / "bad.conll").write_text("He O\nran\n")
    (tmp_path / "latin.conll").write_bytes("café O\n".encode("latin-1"))
    (tmp_path / "empty.conll").write_text("\n\n")
    words, labels = [["a", "b"]], [["O", "B-x"]]
    cases = {
        "bad.conll, line 2: 2 columns": lambda: small().fit(tmp_path / "bad.conll"),
        "is not in utf-8: line 1": lambda: small().fit(tmp_path / "latin.conll"),
        "nothing to learn from": lambda: small().fit(tmp_path / "empty.conll"),
        "of 1 sequences 1 are the test part": lambda: small().fit(words, labels, test_share=0.9),
        "There are no labels": lambda: small().fit(words),
        "Sequence 0 has 2 words and 1 labels": lambda: small().fit(words, [["O"]]),
        "in the file already": lambda: small().fit(tmp_path / "bad.conll", labels),
        "got int": lambda: small().fit(3, labels),
        "must be lists of words": lambda: small().fit(["a b"], labels),
        "got a tuple of 1": lambda: small().fit(words, labels, test=(words,)),
        "at least one sequence, got none": lambda: small().fit(words, labels, test=([], [])),
        "`test_share` must be": lambda: small().fit(words, labels, test_share=1.5),
        "no words to score": lambda: fitted.evaluate([[]], [[]]),
        "trained without intents": lambda: plain.predict_intent(words),
        "is not one of a span": lambda: fitted.evaluate(words, [["O", "noun"]]),
        "`k` must be at least 1": lambda: fitted.predict_k_best(words, 0),
        "Unknown option": lambda: Tagger(hiden_size=3),
    }
    for message, call in cases.items():
        with pytest.raises(InputError) as caught:
            call()
        assert message in str(caught.value), str(caught.value)
    assert small(max_steps=1).fit(tmp_path / "latin.conll", encoding="latin-1")
    assert fitted.predict(tmp_path / "latin.conll", encoding="latin-1")


def test_mistakes_in_the_test_part_are_found_before_training(data, monkeypatch):
    monkeypatch.setattr(engine_module.Engine, "train", lambda *_, **__: pytest.fail("it trained"))
    for test, message in ((([["a"]], [["MISC"]]), "'MISC' is not one of a span"),
                          (([[]], [[]]), "no words to score")):  # fmt: skip
        with pytest.raises(InputError, match=message):
            small().fit(*data, test=test)


def test_all_ways_to_label_are_there(plain):
    ways = plain.predict_k_best([["a", "cat"]], 100)[0]
    assert {tuple(way.labels) for way in ways} == set(product(plain.classes_, repeat=2))


def test_a_run_is_not_resumed_with_another_validation_part(tmp_path, data):
    run = {"checkpoint_dir": tmp_path, "resume": True}
    first = small(max_steps=2).fit(*data, validation=requests(5, seed=1), **run)
    assert equal(first, small(max_steps=2).fit(*data, validation=requests(5, seed=1), **run))
    for other in (requests(5, seed=2), None):
        with pytest.raises(CheckpointError, match="validation text"):
            small(max_steps=2).fit(*data, validation=other, **run)
