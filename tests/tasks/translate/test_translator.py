"""The estimator: what it learns, what it must not see, and what goes in and out."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

import longspan
from longspan import Translator
from longspan.errors import (
    CheckpointError,
    InputError,
    MissingDependencyError,
    ModelDirectoryError,
)
from longspan.tasks.translate import engine as engine_module
from longspan.tasks.translate.baselines import NearestPair

NAMES = ["zero", "one", "two", "three"]
SMALL = {"hidden_size": 8, "embedding_size": 8, "max_epochs": 2, "batch_size": 8, "min_count": 1}
PAIRS = [
    (" ".join(NAMES[k] for k in (a, b, c)), " ".join(NAMES[k] for k in (c, b, a)))
    for a in range(4) for b in range(4) for c in range(3)
]  # fmt: skip


def small(**options):
    return Translator(**(SMALL | options))


KINDS = {
    "words": {},
    "characters": {"tokens": "characters", "cell": "gru", "input_feeding": True},
    "subwords": {"tokens": "subwords", "vocab_size": 270, "shared": True, "attention": "additive"},
    "mixed": {"tokens": "characters", "target_tokens": "words", "attention": "none"},
}


@pytest.fixture(scope="module", params=KINDS)
def of_each_kind(request):
    return small(**KINDS[request.param]).fit(PAIRS, test_share=0.1)


@pytest.fixture(scope="module")
def fitted():
    return small(dropout=0.1).fit(PAIRS, test_share=0.1)


def weights(model):
    return model.engine_.network.state_dict()


def equal(a, b):
    return all(torch.equal(value, weights(b)[name]) for name, value in weights(a).items())


@pytest.mark.parametrize("options", [{}, {"input_feeding": True, "attention": "additive"}])
def test_it_learns_to_reverse(options):
    rng = np.random.default_rng(0)
    texts = ["".join(map(str, rng.integers(0, 6, n))) for n in rng.integers(1, 6, 900)]
    data = sorted({(text, text[::-1]) for text in texts})
    model = Translator(
        tokens="characters", hidden_size=48, embedding_size=24, dropout=0.0, learning_rate=0.01,
        label_smoothing=0.0, batch_size=32, max_epochs=14, patience=None, **options,
    ).fit(data, test_share=0.1)  # fmt: skip
    scores = model.evaluation_.scores
    assert scores["model"]["exact"] > 85
    assert scores["model"]["character_error_rate"] < 5
    assert scores["copy of the source"]["exact"] < 50
    assert scores["model"]["perplexity"] < 1.3
    assert model.predict("01234") == "43210"
    # The first that it writes is the last that it read.
    alignment = model.align("01234", "43210")
    assert alignment.source[:5] == tuple("01234")
    assert alignment.target == (*"43210", "⏹")


def test_scores_are_those_of_the_tools_and_the_network(of_each_kind):
    import jiwer
    from sacrebleu.metrics import BLEU, CHRF

    model = of_each_kind
    sources, references = zip(*PAIRS[:7], strict=True)
    outputs = model.predict(list(sources))
    found = model.evaluate(PAIRS[:7])
    own = found.scores["model"]
    assert own["bleu"] == BLEU().corpus_score(outputs, [list(references)]).score
    assert own["chrf"] == CHRF().corpus_score(outputs, [list(references)]).score
    assert own["word_error_rate"] == 100 * jiwer.wer(list(references), outputs)
    assert own["character_error_rate"] == 100 * jiwer.cer(list(references), outputs)
    assert own["exact"] == 100 * np.mean([a == b for a, b in zip(outputs, references, strict=True)])
    if model.engine_.config.kinds[1] == "words":
        assert own["token_error_rate"] == own["word_error_rate"]
    assert found.scores["copy of the source"]["bleu"] < 100
    assert np.isnan(found.scores["copy of the source"]["perplexity"])
    assert [e.output for e in found.examples] == outputs
    total, tokens = 0.0, 0
    for source, target in PAIRS[:7]:
        network, codecs = model.engine_.network, model.vocabularies_
        given = torch.from_numpy(np.append(codecs.source.encode(source), codecs.source.newline))
        memory, state = network.encode(given[:, None], torch.tensor([len(given)]))
        last = codecs.target.newline
        for token in [*codecs.target.encode(target), codecs.target.newline]:
            with torch.no_grad():
                features, state, _ = network.step(torch.tensor([last]), state, memory)
                total -= float(network.head.log_probs(features)[0, token])
            last, tokens = int(token), tokens + 1
    assert found.tokens == tokens
    assert own["perplexity"] == pytest.approx(np.exp(total / tokens), rel=1e-4)
    assert model.score(PAIRS[:7]) == pytest.approx(-total / tokens, rel=1e-4)


def test_the_vocabularies_see_the_training_part_alone():
    others = {"validation": [("two Ä", "two Ü")], "test": [("one Ö", "one ß")]}
    for options in ({}, {"tokens": "characters"}, {"shared": True}):
        model = small(**options).fit(PAIRS, **others)
        for codec in (model.vocabularies_.source, model.vocabularies_.target):
            assert not set("ÄÖÜß") & set("".join(codec.symbols))
        assert model.evaluation_.unknown == 2
    rare = small(max_epochs=1, validation_share=0.3).fit([*PAIRS, *[("Ä", "Ä")]], test_share=0.3)
    parts = [rare.run_.facts[f"{name} pairs"] for name in ("training", "validation", "test")]
    assert sum(parts) == len(PAIRS) + 1
    assert parts[1] > 5
    assert parts[2] > 5


def test_the_test_part_changes_nothing():
    first = small().fit(PAIRS, test=PAIRS[:5])
    second = small().fit(PAIRS, test=[("something else Ü", "Ö")])
    assert equal(first, second)
    assert first.evaluation_.scores != second.evaluation_.scores


def test_pairs_with_one_source_and_turns_of_a_dialogue_stay_together():
    from longspan.tasks.translate.encoding import divide

    data = [(f"s{k % 20}", f"t{k}") for k in range(60)]
    data += [[f"d{k}", f"x{k}", "y"] for k in range(10)]
    config = small(validation_share=0.2)._checked_config()
    parts = divide(config, data, None, None, None, 0.2, "utf-8").named()
    assert sum(map(len, parts.values())) == 80
    groups = [set(part.groups.tolist()) for part in parts.values()]
    assert [len(g) for g in groups] == [18, 6, 6]
    assert not groups[0] & groups[1] | groups[0] & groups[2] | groups[1] & groups[2]


def test_what_is_learnt_from_is_in_no_part_that_is_drawn():
    """Most dialogues share turns, which must neither join them all nor be scored."""
    from longspan.tasks.translate.encoding import divide

    data = [[f"opening {k}", f"a{k}", "thanks", "you are welcome"] for k in range(100)]
    config = small(validation_share=0.1)._checked_config()
    parts = divide(config, data, None, None, None, 0.2, "utf-8")
    assert [len(part) for part in parts.named().values()] == [210, 20, 40]
    for part in (parts.validation, parts.test):
        assert not set(part.sources) & set(parts.train.sources)
    assert parts.repeated == {"test": 20, "validation": 10}
    model = small(validation_share=0.1, max_steps=1).fit(data, test_share=0.2)
    said = "20 pairs were left out of the test part: the training part has their source too."
    assert said in model.run_.notes
    given = divide(config, data, None, data[:1], data[:1], 0.0, "utf-8")
    assert len(given.test) == len(given.validation) == 3
    assert given.repeated == {}


def test_parts_of_which_nothing_is_left_are_named():
    data = [["a", "b", "c"], ["b", "a", "c"]]
    with pytest.raises(InputError, match=r"sources of all 2 pairs .* test_share=0"):
        small(validation_share=0.0).fit(data, test_share=0.5)
    model = small(validation_share=0.5, max_steps=1).fit(data)
    assert "Nothing is left of the validation part." in model.run_.notes
    assert model.history_.best_epoch is None


def test_same_seed_same_numbers_and_other_seed_others(fitted):
    again = small(dropout=0.1).fit(PAIRS, test_share=0.1)
    assert equal(fitted, again)
    assert str(fitted.evaluation_) == str(again.evaluation_)
    assert not equal(fitted, small(dropout=0.1, seed=1).fit(PAIRS, test_share=0.1))


class StoppedError(Exception):
    pass


@pytest.mark.parametrize("options", [{"scheduled_sampling": 0.5}, {"shared": True}])
def test_stopped_in_mid_epoch_and_resumed_is_bit_identical(options, tmp_path, monkeypatch):
    options = {"dropout": 0.3, **options}
    whole = small(**options).fit(PAIRS, checkpoint_dir=tmp_path / "whole", log_dir=tmp_path / "a")
    steps = len(whole.history_.steps)
    plain, calls = engine_module.loss, []

    def stop(model, batch, state):
        calls.append(0)
        if len(calls) == steps * 3 // 4:
            raise StoppedError
        return plain(model, batch, state)

    run = {"checkpoint_dir": tmp_path / "state", "checkpoint_every": 2, "log_dir": tmp_path / "b"}
    monkeypatch.setattr(engine_module, "loss", stop)
    with pytest.raises(StoppedError):
        small(**options).fit(PAIRS, **run)
    monkeypatch.setattr(engine_module, "loss", plain)
    resumed = small(**options).fit(PAIRS, resume=True, **run)
    assert equal(whole, resumed)
    assert whole.history_ == resumed.history_
    logs = [(tmp_path / name / "log.jsonl").read_bytes() for name in "ab"]
    assert logs[0] == logs[1]
    with pytest.raises(CheckpointError, match="texts"):
        small(**options).fit([(t, s) for s, t in PAIRS], resume=True, **run)


def test_saved_and_loaded_it_does_the_same(of_each_kind, tmp_path):
    of_each_kind.save(tmp_path / "model", report="<p>")
    loaded = longspan.load(tmp_path / "model")
    assert isinstance(loaded, Translator)
    texts = ["one two", "ünknown", "three " * 30]
    assert loaded.translate(texts, n_best=3) == of_each_kind.translate(texts, n_best=3)
    ours, theirs = (m.evaluate(PAIRS[:5]) for m in (of_each_kind, loaded))
    assert str(ours) == str(theirs)
    assert "# Translator" in (tmp_path / "model" / "README.md").read_text()
    assert loaded.get_params() == of_each_kind.get_params()
    names = {p.name for p in (tmp_path / "model").iterdir()}
    assert names == {"config.json", "model.safetensors", "README.md", "report.html"}


DAMAGES = {
    "beyond": lambda c: c["options"].update(hidden_size=10**9),
    "must be": lambda c: c["options"].update(hidden_size=60000),
    "not expected|missing": lambda c: c["options"].update(decoder_layers=2),
    "tokenizer": lambda c: c["options"].update(tokens="subwords"),
    "object": lambda c: c.update(options=[]),
    "NoneType": lambda c: c.update(vocabularies=None),
    "must begin with": lambda c: c["vocabularies"]["source"].update(symbols=["a"]),
    "embedding": lambda c: c["vocabularies"]["target"]["symbols"].pop(),
    "longest": lambda c: c.update(longest=-1),
    "longest.": lambda c: c.update(longest="9"),
    "title": lambda c: c.pop("title"),
}


@pytest.mark.parametrize("message", DAMAGES)
def test_damaged_models_are_refused(message, fitted, tmp_path):
    fitted.save(tmp_path / "model")
    head = json.loads((tmp_path / "model" / "config.json").read_text())
    DAMAGES[message](head["config"])
    (tmp_path / "model" / "config.json").write_text(json.dumps(head))
    with pytest.raises(ModelDirectoryError, match=message):
        longspan.load(tmp_path / "model")


def test_translations_and_their_scores(of_each_kind):
    model = of_each_kind
    several = model.translate(["one two", "three"], n_best=4)
    one = model.translate("one two", n_best=4)
    assert [t.text for t in several[0]] == [t.text for t in one]
    assert [t.score for t in several[0]] == pytest.approx([t.score for t in one], rel=1e-5)
    assert model.predict("one two") == one[0].text
    assert model.predict(["one two", "three"]) == [row[0].text for row in several]
    assert 1 <= len(one) <= 4
    for each in one:
        assert each.log_prob < each.score < 0 or len(each.text) == 0
    assert model.predict([]) == []
    short = model.translate("one two three", max_length=1, beam_size=1)[0]
    count = len(model.vocabularies_.target.encode(short.text))
    assert count <= 1 or "<unk>" in short.text
    flat = model.translate("one two", length_penalty=0.0)[0]
    assert flat.score == flat.log_prob


def test_texts_of_nothing_unseen_ones_and_long_ones(of_each_kind):
    model = of_each_kind
    found = model.translate(["", " \n ", "日本 ü", "one " * 300, "one\ntwo", "one two"])
    assert [row[0].text for row in found[:2]] == ["", ""]
    assert found[0][0].log_prob == 0.0
    assert all(np.isfinite(row[0].log_prob) for row in found)
    assert found[4][0].text == found[5][0].text
    longest = max(model.engine_.longest, 2 * 301)
    if model.engine_.config.tokens == "words":
        assert len(found[3][0].text.split()) <= longest


def test_unknown_tokens_are_copied_from_where_it_looked():
    data = [(f"{a} x{k}", f"{a} y{k}") for k in range(40) for a in NAMES]
    options = {"min_count": 3, "validation_share": 0.0, "max_epochs": 1}
    model = small(**options).fit([*data, *[("rare1", "rare1")]])
    codec = model.vocabularies_.target
    with torch.no_grad():  # it writes two unknown words, whatever it reads
        model.engine_.network.head.bias[codec.unknown] = 60.0
    text = model.translate("one Neu", max_length=2)[0].text
    assert set(text.split()) <= {"one", "Neu"}
    assert len(text.split()) == 2
    kept = small(**options, copy_unknown=False).fit(data)
    with torch.no_grad():
        kept.engine_.network.head.bias[codec.unknown] = 60.0
    assert kept.translate("one Neu", max_length=2)[0].text == "<unk> <unk>"


def test_attention(fitted, of_each_kind):
    found = fitted.align("one two Ä", "two one")
    assert found.source == ("one", "two", "<unk>", "⏹")
    assert found.target == ("two", "one", "⏹")
    assert found.weights.shape == (3, 4)
    np.testing.assert_allclose(found.weights.sum(1), 1.0, rtol=1e-5)
    if of_each_kind.engine_.config.attention == "none":
        with pytest.raises(InputError, match="attention='none'"):
            of_each_kind.align("one")
    else:
        own = of_each_kind.align("one")
        assert own.weights.shape == (len(own.target), len(own.source))


def test_conversations_keep_their_turns(monkeypatch):
    dialogues = [["hello", "hi", "how are you", "fine"], ["bye", "see you", "soon", "yes"]] * 9
    model = small(context_turns=2, validation_share=0.0).fit(dialogues)
    assert "␞" in model.vocabularies_.source.symbols
    read, plain = [], model._answer

    def answer(source, options):
        read.append(source)
        return plain(source, options)

    monkeypatch.setattr(model, "_answer", answer)
    talk = model.conversation(beam_size=2)
    first, second = talk.reply(" hello "), talk.reply("bye ␞")
    assert read == ["hello", " ␞ ".join(["hello", *([first] if first else []), "bye"])]
    assert talk.turns == [t for t in ("hello", first, "bye", second) if t]
    assert talk.reply("") == ""
    assert len(read) == 2
    talk.restart()
    assert talk.turns == []
    with pytest.raises(InputError, match="Expected text"):
        talk.reply(3)


def test_nearest_pairs():
    nearest = NearestPair(["a b", "a c", "a a d"], ["1", "2", "3"])
    assert nearest.translate(["c a", "d", "a b", "z", ""]) == ["2", "3", "1", "1", "1"]
    assert nearest.translate([]) == []
    assert NearestPair([""], ["x"]).translate(["a", ""]) == ["x", "x"]


def test_the_best_of_all_is_kept():
    model = small(max_epochs=4, learning_rate=0.05).fit(PAIRS)
    losses = [record["validation_loss"] for record in model.history_.epochs]
    assert model.history_.best_epoch == 1 + int(np.argmin(losses))


@pytest.mark.parametrize("options", [{}, {"validation_share": 0.0}, {"tied": False}])
def test_the_smallest_data(options):
    for data in ([("a", "b")], [("a", "b"), ("a", "c")]):
        model = small(max_epochs=1, **options).fit(data)
        assert np.isfinite(model.score([("a", "b")]))
    model = small(max_epochs=1, bidirectional=False, encoder_layers=2).fit([("a", "b"), ("c", "d")])
    assert model.history_.best_epoch == 1


def test_scikit_learns_protocol():
    model = small(tokens="characters")
    copy = clone(model)
    assert copy.get_params() == model.get_params()
    assert copy.set_params(hidden_size=4).hidden_size == 4
    for use in (lambda: model.predict("a"), lambda: model.evaluate(PAIRS), model.conversation,
                lambda: model.score(PAIRS), lambda: model.align("a")):  # fmt: skip
        with pytest.raises(NotFittedError):
            use()
    with pytest.raises(NotFittedError):
        model.save("somewhere")


@pytest.mark.parametrize(
    ("message", "options"),
    [
        ("`tokens` = 'letters'", {"tokens": "letters"}),
        ("shared needs", {"shared": True, "target_tokens": "characters"}),
        ("even hidden_size", {"hidden_size": 7}),
        ("attention_size is for", {"attention_size": 3}),
        ("`dropout` = 1.0", {"dropout": 1.0}),
        ("`length_penalty` = -1", {"length_penalty": -1}),
        ("validation_share", {"validation_share": 1.0}),
    ],
)
def test_bad_options(message, options):
    with pytest.raises(InputError, match=message):
        small(**options).fit(PAIRS)


def test_bad_data(fitted):
    for data, message in (
        ([], "no pair with text"), ([("a", " "), ("", "b")], "2 have an empty side"),
        ([("a", float("nan"))], "got nan"), (3, "got int"),
    ):  # fmt: skip
        with pytest.raises(InputError, match=message):
            small().fit(data)
    with pytest.raises(InputError, match="`test` has no pair"):
        small().fit(PAIRS, test=[])
    with pytest.raises(InputError, match="test_share"):
        small().fit(PAIRS, test_share=0.99)
    with pytest.raises(InputError, match="no pair"):
        fitted.evaluate([])
    with pytest.raises(InputError, match="got None"):
        fitted.predict(["a", None])
    for options in ({"beam_size": 0}, {"n_best": 0}, {"length_penalty": -1.0}, {"max_length": 0}):
        with pytest.raises(InputError, match=next(iter(options))):
            fitted.translate("a", **options)
    with pytest.raises(InputError, match="Unknown option"):
        Translator(hiden_size=3)


@pytest.mark.parametrize("package", ["sacrebleu", "jiwer"])
def test_missing_packages_are_named_before_training(package, fitted, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    if package == "sacrebleu":
        monkeypatch.setitem(sys.modules, "sacrebleu.metrics", None)
    for use in (lambda: small().fit(PAIRS, test_share=0.1), lambda: fitted.evaluate(PAIRS)):
        with pytest.raises(MissingDependencyError, match=r"pip install 'longspan\[translate\]'"):
            use()
    assert small(max_epochs=1).fit(PAIRS).evaluation_ is None


def test_a_run_is_not_resumed_with_another_validation_part(tmp_path):
    run = {"checkpoint_dir": tmp_path, "resume": True}
    first = small(max_steps=2).fit(PAIRS, validation=PAIRS[:9], **run)
    assert equal(first, small(max_steps=2).fit(PAIRS, validation=PAIRS[:9], **run))
    for other in (PAIRS[1:9], None):
        with pytest.raises(CheckpointError, match="validation text"):
            small(max_steps=2).fit(PAIRS, validation=other, **run)
