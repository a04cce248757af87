"""What each task hands over, against the model's own answers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from tests.insight import inspected
from tests.insight.inspected import ALL, PAIRS, REVIEWS, SENTENCES, STARS, TEXT, hours, waves

from longspan import Classifier, SequenceFeatures
from longspan.data import tagged_text
from longspan.data.ragged import Ragged
from longspan.errors import InputError
from longspan.tasks.inspection import Look, last_steps, subject_of, window
from longspan.tasks.tag.inspection import around, at_focus, rows
from longspan.tasks.tag.network import TagNetwork

LOOK = Look(rows=3, steps=20, seed=1)


def of(name, look=LOOK):
    model, data, reading = ALL[name]()
    return model, subject_of(model, data, look, **reading)


@pytest.mark.parametrize("name", ALL)
def test_a_subject_is_consistent(name):
    _, subject = of(name)
    x, expected = subject.inputs(), subject.outputs(subject.batch)
    torch.testing.assert_close(subject.run(x), expected)
    torch.testing.assert_close(subject.run(x.repeat(1, 2, 1)), expected.repeat(2, 1))
    assert not subject.network.training
    assert len(subject.focus) == len(subject.lengths) == len(subject.names) == x.shape[1] == 3
    assert [len(own) for own in subject.names] == subject.lengths.tolist()
    assert (subject.focus < subject.lengths).all()
    assert subject.lengths.max() <= len(x)
    whole = subject.losses(subject.more)
    assert whole.shape[0] >= 3
    torch.testing.assert_close(
        subject.losses(subject.cut(subject.more, subject.longest)), whole, rtol=0, atol=1e-6
    )
    assert not torch.equal(subject.losses(subject.cut(subject.more, 1)), whole)
    torch.testing.assert_close(subject.losses(subject.rows(subject.more, torch.arange(3))),
                               subject.losses(subject.batch))  # fmt: skip
    for each in subject.explained:
        assert each.run(each.inputs).shape == (3,)
        assert len(each.names) == each.lengths[0]
        assert not subject.channels or len(subject.channels) == each.inputs.shape[2]


@pytest.mark.parametrize("name", ["language model", "language model, words, adaptive"])
def test_a_language_models_losses_are_those_of_the_text(name):
    model, subject = of(name)
    for context in (1, 7, subject.longest):
        found = subject.losses(subject.cut(subject.more, context))
        for row in range(3):
            own = subject.more.inputs[-context:, row].tolist()
            tokens = np.array([*own, int(subject.more.targets[row])])
            assert found[row].item() == pytest.approx(model.engine_.nll(tokens)[-1], abs=1e-5)
    symbols = model.codec_.symbols
    text = [symbols[k] for k in subject.batch.inputs[:, 0].tolist()]
    assert list(subject.names[0]) == text
    assert f"Next comes {symbols[int(subject.batch.targets[0])]!r}" in subject.answers[0]


def test_a_language_model_shows_the_stretch_that_is_asked_for():
    _, subject = of("language model", replace(LOOK, sequence=4))
    assert "".join(subject.names[0]) == TEXT[3 : 3 + 20]  # an end of line stands before the text


@pytest.mark.parametrize("name", ["classifier", "classifier, both ways"])
def test_a_classifiers_losses_are_those_of_its_probabilities(name):
    model, subject = of(name, Look(rows=12, steps=50))
    series, labels = waves()
    order = np.random.default_rng(0).permutation(12)
    for context in (1, 5, 12):
        p = model.predict_proba([series[k][-context:] for k in order])
        right = [list(model.classes_).index(labels[k]) for k in order]
        found = subject.losses(subject.cut(subject.more, context))
        np.testing.assert_allclose(found.detach(), -np.log(p[np.arange(12), right]), rtol=1e-4)
    assert subject.names[0] == [str(k) for k in range(len(series[order[0]]))]
    assert subject.whole


def test_long_sequences_are_cut_and_named_by_their_end():
    _, subject = of("classifier", Look(rows=12, steps=4))
    assert subject.lengths.tolist() == [4] * 12
    assert set(map(tuple, subject.names)) == {
        tuple(str(k) for k in range(n - 4, n)) for n in (6, 7, 9, 10, 12)
    }
    assert not subject.whole
    assert "last 4 steps" in subject.notes[0]


def test_the_shown_sequence_is_counted_among_all_that_are_given():
    series = [np.full((3 + k, 2), 0.1) for k in range(6)]
    labels = ["new", "slow", "new", "fast", "slow", "fast"]
    for number in (1, 3, 4, 5):
        look = replace(LOOK, sequence=number)
        found = subject_of(inspected.classifier(), series, look, labels=labels)
        assert len(found.names[0]) == 3 + number
        assert found.answers[0].startswith(f"Is {labels[number]}")


def test_texts_of_a_classifier_are_read_with_their_beginning():
    _, subject = of("classifier of texts", replace(LOOK, sequence=0))
    assert subject.names[0] == ["\n", *["good", "film", "that", "i", "liked"]]
    assert subject.step == "word"


def test_columns_of_a_call_do_not_stay_with_the_classifier(tmp_path):
    import polars as pl

    path = tmp_path / "other.csv"
    pl.DataFrame({"review": REVIEWS, "stars": STARS}).write_csv(path)
    model = inspected.reviewer()
    found = subject_of(model, path, LOOK, text="review", label="stars")
    assert found.kind == "text"
    assert "text" not in model.columns_


@pytest.mark.parametrize("name", ["tagger", "tagger, characters by LSTM"])
def test_a_taggers_losses_are_those_of_its_marginals(name):
    model, subject = of(name)
    text = [SENTENCES[k] for k in np.random.default_rng(1).permutation(20)]
    marginals = model.engine_.marginals(model.encoder_.encode(tagged_text(text)))[0]
    right = at_focus(subject.more.inputs.labels, subject.more.at)
    expected = [-np.log(marginals[k][at, y]) for k, (at, y) in enumerate(
        zip(subject.more.at.tolist(), right.tolist(), strict=True))]  # fmt: skip
    np.testing.assert_allclose(subject.losses(subject.more).detach(), expected, atol=1e-5)


def test_a_taggers_shortened_context_is_that_of_each_word():
    model, subject = of("tagger")
    network: TagNetwork = model.engine_.network
    given = rows(subject.more, torch.tensor([int(subject.more.inputs.lengths.argmax())]))
    assert given.inputs.lengths.tolist() == [4]
    scores = [
        network(around(given._replace(at=torch.tensor([t])), 2).inputs)[0][min(t, 1)]
        for t in range(4)
    ]
    at = int(given.at)
    label = int(given.inputs.labels[at, 0])
    expected = -network.chain.marginals(torch.stack(scores).double())[at, 0, label].log()
    found = subject.losses(subject.cut(given, 2))[0]
    assert found.item() == pytest.approx(expected.item(), abs=1e-5)


def test_a_taggers_rows_end_or_begin_at_the_focus():
    _, subject = of("tagger")
    before, after = subject.before(subject.batch), subject.after(subject.batch)
    torch.testing.assert_close(before.at, before.inputs.lengths - 1)
    assert (after.at == 0).all()
    expected = at_focus(subject.batch.inputs.words, subject.batch.at)
    for part in (before, after):
        assert torch.equal(at_focus(part.inputs.words, part.at), expected)
    assert torch.equal(before.inputs.lengths + after.inputs.lengths - 1, subject.lengths)


def test_a_translators_losses_are_those_of_its_steps():
    for name in ("translator", "translator, input feeding", "translator, no attention, GRU"):
        model, subject = of(name)
        network, given = model.engine_.network, subject.more
        for row in range(3):
            own = given.pairs
            length, source = int(own.lengths[row]), int(own.source_lengths[row])
            memory, state = network.encode(own.source[:source, [row]], torch.tensor([source]))
            for token in own.inputs[:length, row]:
                features, state, _ = network.step(token[None], state, memory)
            expected = -network.head.log_probs(features)[0, int(given.answer[row])]
            torch.testing.assert_close(subject.losses(given)[row], expected)


def test_a_shortened_target_begins_at_the_encoders_state():
    model, subject = of("translator")
    network, own = model.engine_.network, subject.more.pairs
    row = int(own.lengths.argmax())
    assert int(own.lengths[row]) == 3
    memory, state = network.encode(own.source[:, [row]], own.source_lengths[[row]])
    for token in own.inputs[1:3, row]:
        features, state, _ = network.step(token[None], state, memory)
    expected = -network.head.log_probs(features)[0, int(subject.more.answer[row])]
    found = subject.losses(subject.cut(subject.more, 2))[row]
    torch.testing.assert_close(found, expected)


def test_a_translators_losses_add_up_to_those_of_its_engine():
    model, subject = of("translator", Look(rows=3, steps=20, sequence=5))
    sources, targets = model._tokens(model._pairs(PAIRS, None, "utf-8"))
    whole = model.engine_.nll(sources, targets)[5]
    shorter = Ragged.of([targets[5][:-1].tolist()])
    before = model.engine_.nll(Ragged.of([sources[5].tolist()]), shorter)[0]
    assert subject.losses(subject.batch)[0].item() == pytest.approx(whole - before, abs=1e-5)


@pytest.mark.parametrize(
    "name",
    [
        "forecaster", "forecaster, encoder and decoder", "forecaster, without season",
        "forecaster of counts",
    ],
)  # fmt: skip
def test_a_forecasters_losses_are_those_of_training(name):
    model, subject = of(name)
    found = model.engine_.loss(model.engine_.network, subject.more, None)
    torch.testing.assert_close(subject.losses(subject.more).mean(), found.total / found.weight)


@pytest.mark.parametrize("name", ["forecaster", "forecaster, encoder and decoder"])
def test_a_forecasters_outputs_are_its_medians(name):
    model, subject = of(name)
    network = model.engine_.network
    raw, frame = network(subject.batch)
    medians = network.likelihood.quantiles(raw, frame, [0.5])[..., 0]
    torch.testing.assert_close(subject.outputs(subject.batch), frame.scaled(medians))
    for step, each in enumerate(subject.explained):
        torch.testing.assert_close(each.run(each.inputs), frame.scaled(medians)[:, step])


def test_a_recursive_forecasters_loss_is_that_of_the_next_step():
    model, subject = of("forecaster, recursive")
    network = model.engine_.network
    raw, frame = network(subject.more)  # with the horizon's values before it, as in training
    first = network.context_length - 1
    here = replace(frame, anchor=frame.anchor[:, [first]])
    expected = network.likelihood.loss(raw[:, [first]], subject.more.actual[:, :1], here)[:, 0]
    torch.testing.assert_close(subject.losses(subject.more), expected)


def test_a_forecasters_shortened_context_is_a_shorter_run():
    model, subject = of("forecaster")
    network = model.engine_.network
    steps, frame = network.prepare(subject.more, None)
    body = network.body
    last = body.encoder(steps.context()[:, -5:])[0][:, -1]
    each = torch.relu(body.spread(last)).view(len(last), 3, -1)
    features = torch.cat([last[:, None].expand(-1, 3, -1), each, steps.ahead()], -1)
    expected = network.likelihood.loss(network.output(features), subject.more.actual, frame)
    torch.testing.assert_close(subject.losses(subject.cut(subject.more, 5)), expected.mean(1))


def test_channels_of_a_table_keep_their_names(tmp_path):
    path = tmp_path / "data.csv"
    lines = [f"{k // 3},{k % 5},{k % 2},{'xy'[k // 3 % 2]}" for k in range(36)]
    path.write_text("\n".join(["id,rain,wind,label", *lines]))
    model = Classifier(hidden_size=4, max_epochs=1).fit(path, test_share=0.0)
    assert subject_of(model, path, LOOK).channels == ["rain", "wind"]


def test_a_forecaster_can_do_without_data_and_shows_the_series_that_is_asked_for():
    model = inspected.forecaster()
    own = subject_of(model, None, LOOK)
    assert "keeps only the end" in own.notes[-1]
    shown = subject_of(model, hours(), replace(LOOK, sequence=0))
    assert shown.names[0][-1] == str(130 - 3 - 1)
    assert "forecast from 127 on" in shown.answers[0]
    assert subject_of(model, hours(), LOOK).channels[:5] == [
        "value", "change from a season before", "whether observed", "rain", "value 6 steps before",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "data", "look", "reading", "message"),
    [
        ("language model", None, LOOK, {}, "Give a text to look at"),
        ("classifier", None, LOOK, {}, "Give sequences with their labels"),
        ("tagger", None, LOOK, {}, "Give labelled sequences"),
        ("translator", None, LOOK, {}, "Give pairs of texts"),
        ("language model", "t", LOOK, {}, "at least two"),
        ("language model", "", LOOK, {}, "is empty"),
        ("language model", TEXT, replace(LOOK, sequence=5000), {}, "`sequence` must lie between"),
        ("forecaster", np.arange(10.0), LOOK, {}, "missing"),
        ("classifier", [np.zeros((5, 2))], LOOK, {"labels": ["other"]}, "No sequence has one of"),
        ("tagger", [["a"]], LOOK, {"labels": [["B-other"]]}, "No word has a label"),
        ("tagger", SENTENCES, replace(LOOK, sequence=99), {"labels": inspected.LABELS},
         "`sequence` must lie between"),
        ("tagger", [["a"], ["a"]], replace(LOOK, sequence=0), {"labels": [["B-other"], ["O"]]},
         "Sequence 0 .* has no word with a label"),
        ("tagger", [["a"], ["a"]], replace(LOOK, sequence=2), {"labels": [["B-other"], ["O"]]},
         "between 0 and 1,"),
        ("classifier", [np.zeros((5, 2))] * 3, replace(LOOK, sequence=1),
         {"labels": ["slow", "other", "fast"]}, "Sequence 1 .* has a label that the model does"),
        ("classifier", [np.zeros((5, 2))] * 3, replace(LOOK, sequence=3),
         {"labels": ["slow", "other", "fast"]}, "between 0 and 2, as there are 3 of them"),
        ("translator", [("1", "")], LOOK, {}, "no pair with text on both sides"),
    ],
)  # fmt: skip
def test_what_cannot_be_used_is_refused(name, data, look, reading, message):
    with pytest.raises(InputError, match=message):
        subject_of(ALL[name]()[0], data, look, **reading)


def test_short_series_are_refused():
    with pytest.raises(InputError, match="needs 12 steps of context and 3"):
        subject_of(inspected.forecaster(), hours()[:14], LOOK)
    found = subject_of(inspected.forecaster(), hours()[:15], LOOK)  # without a season before it
    assert len(found.focus) == 1


def test_models_without_a_memory_of_time_are_refused():
    features = SequenceFeatures(hidden_size=4, max_epochs=1).fit(waves()[0])
    with pytest.raises(InputError, match="SequenceFeatures cannot be inspected"):
        subject_of(features, waves()[0], LOOK)
    with pytest.raises(InputError, match="cannot be inspected"):
        subject_of(object(), None, LOOK)
    shuffled = inspected.classifier(front="lstm_fcn")
    with pytest.raises(InputError, match="dimension_shuffle=False"):
        subject_of(shuffled, waves()[0], LOOK, labels=waves()[1])


def test_stretches_of_rows():
    x = torch.arange(12).view(4, 3)
    kept = last_steps(x, torch.tensor([4, 2, 0]), torch.tensor([2, 1, 0]))
    assert kept.tolist() == [[6, 4, 0], [9, 0, 0]]
    assert window(x, torch.tensor([1, 0, 0]), torch.tensor([1, 0, 3])).tolist() == [
        [3, 0, 2], [0, 0, 5], [0, 0, 8],
    ]  # fmt: skip
