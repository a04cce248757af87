"""The estimator: what it learns, what it must not see, and what goes in and out."""

from __future__ import annotations

import json
from itertools import islice

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

import longspan
from longspan import LanguageModel
from longspan.errors import CheckpointError, InputError, ModelDirectoryError
from longspan.tasks.language import engine as engine_module
from longspan.tasks.language.generation import Continuation

SMALL = {"hidden_size": 8, "num_layers": 1, "max_epochs": 2, "bptt_length": 10, "batch_size": 4}
TEXT = "the cat sat on the mat.\nthe dog ate the cat food!\n" * 20


def small(**options):
    return LanguageModel(**(SMALL | options))


@pytest.fixture(scope="module")
def fitted():
    return small(dropout=0.1, weight_drop=0.2).fit(TEXT, test_share=0.1)


@pytest.fixture(scope="module", params=["characters", "words", "subwords"])
def of_each_kind(request):
    size = 280 if request.param == "subwords" else None
    return small(tokens=request.param, vocab_size=size).fit(TEXT, test_share=0.1)


def weights(model):
    return model.engine_.network.state_dict()


def equal(a, b):
    return all(torch.equal(value, weights(b)[name]) for name, value in weights(a).items())


def test_it_learns_what_can_be_learnt():
    """Letters in pairs: the first of each is free among four, the second follows from it."""
    rng = np.random.default_rng(0)
    text = "".join(["ax", "by", "cz", "dw"][k] for k in rng.integers(0, 4, 4000))
    model = small(hidden_size=16, max_epochs=6, learning_rate=0.02).fit(text, test_share=0.1)
    scores = model.evaluation_.scores
    entropy = np.log(4) / 2
    assert entropy * 0.97 < scores["model"]["cross_entropy"] < entropy * 1.05
    assert scores["unigram"]["cross_entropy"] == pytest.approx(np.log(8), rel=0.02)
    assert scores["Kneser-Ney 5-gram"]["cross_entropy"] == pytest.approx(entropy, rel=0.05)
    table = model.predict("axb", top=2)
    assert table["token"][0] == "y"
    assert table["probability"][0] > 0.95


def test_what_awd_lstm_has_combines():
    model = small(
        num_layers=2, embedding_size=6, optimizer="nt_asgd", learning_rate=5.0, schedule="constant",
        varied_bptt=True, weight_drop=0.3, embedding_dropout=0.1, activation_penalty=2.0,
        change_penalty=1.0, bptt_length=12,
    ).fit(TEXT)  # fmt: skip
    losses = [record["loss"] for record in model.history_.steps]
    assert np.mean(losses[-5:]) < np.mean(losses[:5])
    rates = [record["learning_rate"] for record in model.history_.steps]
    assert len(set(rates)) > 3
    assert model.evaluation_ is None


@pytest.mark.parametrize("softmax", ["sampled", "adaptive"])
@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_cells_and_softmaxes(softmax, cell):
    model = small(cell=cell, softmax=softmax, hidden_size=16, num_samples=5, max_epochs=1)
    model.fit(TEXT, test_share=0.1)
    assert np.isfinite(model.evaluation_.scores["model"]["perplexity"])


def test_scores_are_those_of_the_text_step_by_step(of_each_kind):
    model = of_each_kind
    text = "the dog sat.\nthe mat"
    tokens = model._prompt(text)
    run, total = Continuation(model.engine_.network, [tokens[:1]]), 0.0
    for token in tokens[1:]:
        total -= float(run.log_probs[0, token])
        run.step(np.array([token]))
    evaluation = model.evaluate(text)
    scores, size = evaluation.scores["model"], evaluation.size
    assert size.tokens == len(tokens) - 1
    assert size.characters == 20
    assert size.words == 6  # and one end of line among them
    assert scores["cross_entropy"] == pytest.approx(total / size.tokens, rel=1e-5)
    assert scores["perplexity"] == pytest.approx(np.exp(total / size.tokens), rel=1e-5)
    assert scores["bits_per_character"] == pytest.approx(total / np.log(2) / 20, rel=1e-5)
    assert scores["word_perplexity"] == pytest.approx(np.exp(total / 6), rel=1e-4)
    assert model.score(text) == -scores["cross_entropy"]
    assert model.perplexity(text) == scores["perplexity"]
    np.testing.assert_allclose(evaluation.bits.sum() * np.log(2), total, rtol=1e-5)
    assert len(evaluation.passage) == len(evaluation.bits) == size.tokens


def test_the_vocabulary_sees_the_training_part_alone():
    parts = {"validation": "the cat Ä\n" * 20, "test": "the dog Ö\n" * 20}
    for tokens, size in (("characters", None), ("words", None), ("subwords", 270)):
        model = small(tokens=tokens, vocab_size=size).fit(TEXT, **parts)
        assert not {"Ä", "Ö"} & set(model.codec_.symbols)
        unknown = model.evaluation_.size.unknown
        assert unknown == (0 if tokens == "subwords" else 20)
    whole = small(validation_share=0.1).fit(TEXT + "Ä" * 150, test_share=0.1)
    assert "Ä" not in whole.codec_.symbols


def test_the_test_part_changes_nothing():
    first = small().fit(TEXT, test="the cat.\n" * 5)
    second = small().fit(TEXT, test="something else Ü\n" * 9)
    assert equal(first, second)
    assert first.evaluation_.scores != second.evaluation_.scores


def test_the_future_does_not_matter(of_each_kind):
    network = of_each_kind.engine_.network
    tokens = torch.tensor(of_each_kind._prompt(TEXT[:60]))[:, None]
    other = tokens.clone()
    other[8:] = 3
    with torch.no_grad():
        first, second = (network.features(each)[0] for each in (tokens, other))
    assert torch.equal(first[:8], second[:8])
    assert not torch.equal(first[8:], second[8:])


def test_same_seed_same_numbers_and_other_seed_others(fitted):
    again = small(dropout=0.1, weight_drop=0.2).fit(TEXT, test_share=0.1)
    assert equal(fitted, again)
    assert fitted.evaluation_.scores == again.evaluation_.scores
    assert not equal(fitted, small(dropout=0.1, weight_drop=0.2, seed=1).fit(TEXT, test_share=0.1))


class StoppedError(Exception):
    pass


def test_stopped_in_mid_epoch_and_resumed_is_bit_identical(tmp_path, monkeypatch):
    options = {"dropout": 0.3, "weight_drop": 0.3, "varied_bptt": True, "embedding_dropout": 0.1}
    whole = small(**options).fit(TEXT, checkpoint_dir=tmp_path / "whole", log_dir=tmp_path / "a")
    steps = len(whole.history_.steps)
    plain, calls = engine_module.loss, []

    def stop(model, batch, state):
        calls.append(state is not None)
        if len(calls) == steps * 3 // 4:
            raise StoppedError
        return plain(model, batch, state)

    run = {"checkpoint_dir": tmp_path / "state", "checkpoint_every": 3, "log_dir": tmp_path / "b"}
    monkeypatch.setattr(engine_module, "loss", stop)
    with pytest.raises(StoppedError):
        small(**options).fit(TEXT, **run)
    assert calls[-1], "the state was not carried"
    monkeypatch.setattr(engine_module, "loss", plain)
    resumed = small(**options).fit(TEXT, resume=True, **run)
    assert equal(whole, resumed)
    assert whole.history_ == resumed.history_
    logs = [(tmp_path / name / "log.jsonl").read_bytes() for name in "ab"]
    assert logs[0] == logs[1]
    with pytest.raises(CheckpointError, match="text"):
        small(**options).fit(TEXT.replace("dog", "cow"), resume=True, **run)


def test_saved_and_loaded_it_does_the_same(of_each_kind, tmp_path):
    of_each_kind.save(tmp_path / "model", report="<p>")
    loaded = longspan.load(tmp_path / "model")
    assert isinstance(loaded, LanguageModel)
    assert loaded.predict("the c").equals(of_each_kind.predict("the c"))
    assert loaded.generate("the", seed=4) == of_each_kind.generate("the", seed=4)
    text = "the cow sat"
    ours, theirs = (m.evaluate(text) for m in (of_each_kind, loaded))
    assert ours.scores == theirs.scores
    assert sorted(ours.scores) == ["model", "unigram"]
    assert "# Language model" in (tmp_path / "model" / "README.md").read_text()
    assert loaded.get_params() == of_each_kind.get_params()
    names = {p.name for p in (tmp_path / "model").iterdir()}
    assert names == {"config.json", "model.safetensors", "README.md", "report.html"}


DAMAGES = {
    "beyond": lambda c: c["options"].update(hidden_size=10**9),
    "must be": lambda c: c["options"].update(hidden_size=60000, num_layers=200),
    "not expected|missing": lambda c: c["options"].update(layer_sizes=[8, 8]),
    "tokenizer": lambda c: c["options"].update(tokens="subwords"),
    "object": lambda c: c.update(options=[]),
    "NoneType": lambda c: c.update(codec=None),
    "must begin with": lambda c: c["codec"].update(symbols=["a"]),
    "unigram": lambda c: c["codec"].update(symbols=c["codec"]["symbols"][:-1]),
    "list of texts": lambda c: c["codec"].update(symbols=[1, 2]),
    "title": lambda c: c.pop("title"),
}


def change(path, function):
    head = json.loads((path / "config.json").read_text())
    function(head["config"])
    (path / "config.json").write_text(json.dumps(head))


@pytest.mark.parametrize("message", DAMAGES)
def test_damaged_models_are_refused(message, fitted, tmp_path):
    fitted.save(tmp_path / "model")
    change(tmp_path / "model", DAMAGES[message])
    with pytest.raises(ModelDirectoryError, match=message):
        longspan.load(tmp_path / "model")


@pytest.mark.parametrize("damage", [{"tokenizer": "{"}, {"order": [0]}, {"order": ["x"]}])
def test_damaged_subwords_are_refused(damage, tmp_path):
    small(tokens="subwords", vocab_size=260, max_epochs=1).fit(TEXT).save(tmp_path / "model")
    change(tmp_path / "model", lambda c: c["codec"].update(damage))
    with pytest.raises(ModelDirectoryError):
        longspan.load(tmp_path / "model")


def test_generation(of_each_kind):
    model = of_each_kind
    text = model.generate("the c", max_tokens=30, seed=1)
    assert text == "".join(model.stream("the c", max_tokens=30, seed=1))
    assert text == model.generate("the c", max_tokens=30, seed=1)
    assert text != model.generate("the c", max_tokens=30, seed=2)
    assert model.generate(["the c", "a", ""], max_tokens=30, seed=1)[0] == text
    assert model.generate("the c", max_tokens=0) == ""
    assert model.generate([]) == []
    assert model.generate(["a", "b"], max_tokens=0) == ["", ""]
    assert model.generate(["a", "b"], max_tokens=0, stop="x") == ["", ""]
    assert model.generate("x", top_k=1, seed=1) == model.generate("x", temperature=0, seed=2)
    assert "<unk>" not in model.generate("", max_tokens=300, temperature=5.0)
    assert len(list(islice(model.stream(), 7))) == 7  # without end


def test_generation_ends_before_a_text(fitted):
    whole = fitted.generate("the", max_tokens=200)
    for stop in (" ", whole[20:23], whole[50:51], "not there"):
        at = whole.find(stop)
        expected = whole if at < 0 else whole[:at]
        assert fitted.generate("the", max_tokens=200, stop=stop) == expected
        assert fitted.generate(["the"], max_tokens=200, stop=stop) == [expected]


def test_unknown_characters_have_a_rule(fitted):
    assert fitted.evaluate("the cät").size.unknown == 1
    assert np.isfinite(fitted.perplexity("日本"))
    assert fitted.generate("日本", max_tokens=4) == fitted.generate("ää", max_tokens=4)
    table = fitted.predict("日", top=None)
    assert table["probability"].sum() == pytest.approx(1.0, rel=1e-5)
    assert table.height == len(fitted.codec_.symbols)


def test_the_shortest_texts():
    for text in ("a", "ab", "a b\n", "x" * 30):
        model = small(max_epochs=1).fit(text)
        assert np.isfinite(model.perplexity("a"))
    model = small(max_epochs=1, validation_share=0.0, batch_size=100, bptt_length=500).fit(TEXT)
    assert model.history_.best_epoch is None


def test_lowercase_and_normalisation():
    model = small(lowercase=True, max_epochs=1).fit(TEXT.upper())
    assert "T" not in model.codec_.symbols
    assert model.perplexity("THE CAFE\u0301") == model.perplexity("the caf\u00e9")


def test_scikit_learns_protocol():
    model = small(tokens="words", cutoffs=None)
    copy = clone(model)
    assert copy.get_params() == model.get_params()
    assert copy.set_params(hidden_size=4).hidden_size == 4
    for use in (model.predict, model.generate, model.stream, lambda: model.score("a")):
        with pytest.raises(NotFittedError):
            use()
    with pytest.raises(NotFittedError):
        model.save("somewhere")


@pytest.mark.parametrize(
    ("message", "options"),
    [
        ("`tokens` = 'letters'", {"tokens": "letters"}),
        ("tied needs a last layer", {"layer_sizes": (9, 8), "embedding_size": 7}),
        ("cannot be tied", {"softmax": "adaptive", "tied": True}),
        ("cutoffs are for", {"cutoffs": (3,)}),
        ("layer_norm needs", {"cell": "rnn", "layer_norm": True}),
        ("layer_sizes needs", {"layer_sizes": ()}),
        ("For so few classes", {"softmax": "adaptive", "cutoffs": (500,), "hidden_size": 64}),
        ("`dropout` = 1.0", {"dropout": 1.0}),
        ("validation_share", {"validation_share": 1.0}),
        ("needs a validation part", {"validation_share": 0.0, "optimizer": "nt_asgd"}),
    ],
)
def test_bad_options(message, options):
    with pytest.raises(InputError, match=message):
        small(**options).fit(TEXT)


def test_bad_texts(tmp_path, fitted):
    latin = tmp_path / "latin.txt"
    latin.write_bytes("café\n".encode("latin-1") * 20)
    for data, message in (
        ("", "empty"), ("  \n ", "empty"), (3, "must be a string"), (latin, "not in utf-8"),
        (tmp_path / "none.txt", "cannot be read"),
    ):  # fmt: skip
        with pytest.raises(InputError, match=message):
            small().fit(data)
    assert small(max_epochs=1).fit(latin, encoding="latin-1").title_ == "latin.txt"
    with pytest.raises(InputError, match="empty"):
        fitted.evaluate("")
    for options in ({"max_tokens": -1}, {"temperature": -1.0}, {"top_k": 0}, {"top_p": 2.0},
                    {"temperature": 1e-310}, {"seed": -1}):  # fmt: skip
        with pytest.raises(InputError, match=next(iter(options))):
            fitted.generate("a", **options)
        with pytest.raises(InputError, match=next(iter(options))):
            fitted.generate(["a", "b"], **options)
    with pytest.raises(InputError, match="top"):
        fitted.predict(top=0)
    with pytest.raises(InputError, match="Unknown option"):
        LanguageModel(hiden_size=3)


def test_a_test_part_without_words_is_found_before_training(monkeypatch):
    monkeypatch.setattr(engine_module.Engine, "train", lambda *_, **__: pytest.fail("it trained"))
    with pytest.raises(InputError, match="The test part has no tokens"):
        small(tokens="words", validation_share=0).fit("a b c d " * 40 + " " * 200, test_share=0.3)


def test_a_run_is_not_resumed_with_another_validation_part(tmp_path):
    run = {"checkpoint_dir": tmp_path, "resume": True}
    first = small(max_steps=2).fit(TEXT, validation=TEXT[:90], **run)
    assert equal(first, small(max_steps=2).fit(TEXT, validation=TEXT[:90], **run))
    for other in (TEXT[:80], None):
        with pytest.raises(CheckpointError, match="validation text"):
            small(max_steps=2).fit(TEXT, validation=other, **run)
