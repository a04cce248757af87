"""The estimator: what it learns, what it must not see, and what goes in and out."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from scipy.special import softmax
from sklearn.exceptions import NotFittedError

import longspan
from longspan import Classifier
from longspan.data.ragged import Ragged
from longspan.data.series import as_series
from longspan.errors import CheckpointError, InputError, ModelDirectoryError
from longspan.tasks.classify import classifier as classifier_module
from longspan.tasks.classify import engine
from longspan.tasks.classify.engine import Part, read, temperature_of
from longspan.tasks.classify.inputs import words
from longspan.tasks.classify.network import ClassifyNetwork, InputShape, SequenceEncoder

SMALL = {"hidden_size": 8, "max_epochs": 4, "batch_size": 16}
RNG = np.random.default_rng(0)
#: Two channels; the frequency of the second is the class. Lengths from 5 to 20.
LABELS = np.array(["slow", "fast", "none"])[RNG.integers(0, 3, 60)]
SERIES = [
    np.stack([RNG.normal(size=n), 7 + 5 * np.sin({"slow": 0.3, "fast": 1.5, "none": 0.0}[name]
              * np.arange(n) + RNG.uniform(0, 6))], -1)
    for name, n in zip(LABELS, RNG.integers(5, 21, 60), strict=True)
]  # fmt: skip
TEXTS = [f"{'very good' if k % 2 else 'very bad'}, it's number {k % 5}" for k in range(60)]
MOODS = ["pos" if k % 2 else "neg" for k in range(60)]
IMAGES = RNG.integers(0, 50, (60, 6, 5)).astype(np.uint8)
DIGITS = np.arange(60) % 2
IMAGES[DIGITS == 1, 2:4] += 180
KINDS = {
    "series": (SERIES, LABELS, {}),
    "fcn": (SERIES, LABELS, {"front": "lstm_fcn", "filters": (6, 4), "kernel_sizes": (4, 3)}),
    "mlstm_fcn": (SERIES, LABELS, {"front": "lstm_fcn", "filters": (6, 4), "kernel_sizes": (4, 3),
                                   "squeeze_excite": True}),
    "cnn": (SERIES, LABELS, {"front": "cnn", "filters": (6,), "pool_size": 2}),
    "attention": (SERIES, LABELS, {"pooling": "attention", "bidirectional": True,
                                   "num_layers": 2}),
    "words": (TEXTS, MOODS, {"embedding_size": 6, "bidirectional": True}),
    "characters": (TEXTS, MOODS, {"embedding_size": 6, "tokens": "characters", "cell": "gru"}),
    "image": (IMAGES, DIGITS, {"pooling": "mean"}),
    "image_cnn": (IMAGES, DIGITS, {"front": "cnn", "filters": (4, 6)}),
}  # fmt: skip


def small(**options):
    return Classifier(**(SMALL | options))


def weights(model):
    return model.network_.state_dict()


def equal(a, b):
    return all(torch.equal(value, weights(b)[name]) for name, value in weights(a).items())


@pytest.fixture(scope="module", params=KINDS)
def of_each_kind(request):
    data, labels, options = KINDS[request.param]
    return data, labels, small(**options).fit(data, labels, test_share=0.2)


@pytest.fixture(scope="module")
def fitted():
    return small(dropout=0.1).fit(SERIES, LABELS, test_share=0.2)


@pytest.mark.parametrize("kind", KINDS)
def test_it_learns_what_can_be_learnt(kind):
    data, labels, options = KINDS[kind]
    model = small(max_epochs=60, learning_rate=0.02, dropout=0.0, **options)
    model.fit(data, labels)
    assert model.score(data, labels) > 0.95


def test_one_step_is_that_of_the_same_network_in_plain_torch():
    """Values and gradients, with padded rows, beside torch.nn.LSTM with packed sequences."""
    torch.manual_seed(0)
    shape = InputShape("series", 2, 20)
    ours = ClassifyNetwork(SequenceEncoder(shape, hidden_size=5, bidirectional=True), 3)
    lstm, output = torch.nn.LSTM(2, 5, bidirectional=True), torch.nn.Linear(10, 3)
    lstm.load_state_dict(ours.encoder.recurrent.state_dict())
    output.load_state_dict(ours.output.state_dict())
    rows = [torch.from_numpy(each).float() for each in SERIES[:4]]
    packed = torch.nn.utils.rnn.pack_sequence(rows, enforce_sorted=False)
    h = lstm(packed)[1][0]
    expected = output(torch.cat([h[0], h[1]], -1))
    part = Part(Ragged.of_arrays([each.numpy() for each in rows]))
    found = ours(part.batch(torch.arange(4)))
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)
    target = torch.tensor([0, 2, 1, 1])
    for scores in (found, expected):
        torch.nn.functional.cross_entropy(scores, target).backward()
    for name, parameter in lstm.named_parameters():
        own = dict(ours.encoder.recurrent.named_parameters())[name]
        torch.testing.assert_close(own.grad, parameter.grad, rtol=1e-4, atol=1e-6)


def test_predictions(of_each_kind):
    data, labels, model = of_each_kind
    p = model.predict_proba(data)
    assert p.shape == (60, len(model.classes_))
    np.testing.assert_allclose(p.sum(1), 1.0)
    assert model.classes_.tolist() == sorted(set(np.asarray(labels).tolist()))
    predicted = model.predict(data)
    assert (predicted == model.classes_[p.argmax(1)]).all()
    assert model.score(data, labels) == pytest.approx((predicted == np.asarray(labels)).mean())
    assert model.features(data).shape == (60, model.network_.encoder.output_size)
    assert model.evaluation_.confusion.sum() == model.run_.facts["test sequences"]
    assert len(model.evaluation_.mistakes) <= 12


def test_company_and_padding_do_not_matter(of_each_kind):
    data, _, model = of_each_kind
    whole = model.predict_proba(data)
    for k in (0, 7, 31):
        np.testing.assert_allclose(model.predict_proba(data[k : k + 1])[0], whole[k], atol=1e-6)
    order = np.random.default_rng(1).permutation(60)
    mixed = data[order] if isinstance(data, np.ndarray) else [data[k] for k in order]
    np.testing.assert_allclose(model.predict_proba(mixed), whole[order], atol=1e-6)
    scores = read(model.network_, model.network_, model.inputs_.encode(data))
    assert np.isfinite(scores).all()


def test_long_sequences_are_read_a_few_at_a_time(monkeypatch):
    """So that memory grows with the longest sequence, not with 256 times its length."""
    model = small(**KINDS["words"][2]).fit(TEXTS, MOODS)
    texts = [*TEXTS, "good " * 300, *TEXTS, "bad " * 100, ""]
    right, shapes = model.predict_proba(texts), []
    monkeypatch.setattr(engine, "STEPS_AT_ONCE", 400)
    model.network_.register_forward_pre_hook(lambda _, own: shapes.append(own[0].inputs.shape))
    np.testing.assert_allclose(model.predict_proba(texts), right, atol=1e-6)
    assert shapes[0] == (301, 1)
    assert max(steps * rows for steps, rows in shapes) <= 400
    assert sum(rows for _, rows in shapes) == len(texts)


def test_saved_and_loaded_it_does_the_same(of_each_kind, tmp_path):
    data, labels, model = of_each_kind
    model.save(tmp_path / "model", report="<p>")
    loaded = longspan.load(tmp_path / "model")
    assert isinstance(loaded, Classifier)
    np.testing.assert_array_equal(loaded.predict_proba(data), model.predict_proba(data))
    assert (loaded.predict(data) == model.predict(data)).all()
    assert loaded.classes_.dtype == model.classes_.dtype
    assert loaded.evaluate(data, labels).scores == model.evaluate(data, labels).scores
    assert loaded.get_params() == model.get_params()
    card = (tmp_path / "model" / "README.md").read_text()
    assert "# Classifier" in card
    assert "balanced accuracy" in card
    loaded.save(tmp_path / "model")


@pytest.mark.parametrize("labels", [[3, -5], [True, False], [0.0, 1.0], ["ä", "b"]])
def test_labels_of_any_type_come_back(labels, tmp_path):
    y = np.array(labels)[np.arange(60) % 2]
    weight = {labels[0]: 2.0}
    model = small(max_epochs=1, class_weight=weight).fit(SERIES, y)
    model.save(tmp_path / "model")
    loaded = longspan.load(tmp_path / "model")
    assert loaded.predict(SERIES).dtype == y.dtype
    assert loaded.class_weight == weight
    assert (loaded.predict(SERIES) == model.predict(SERIES)).all()


def test_what_was_learnt_comes_from_the_training_part_alone():
    first = small().fit(SERIES[:40], LABELS[:40], validation=(SERIES[40:50], LABELS[40:50]))
    wild = [1000 * each for each in SERIES[40:50]]
    second = small().fit(SERIES[:40], LABELS[:40], validation=(wild, LABELS[40:50]))
    np.testing.assert_array_equal(first.inputs_.mean, second.inputs_.mean)
    steps = np.concatenate(SERIES[:40])
    np.testing.assert_allclose(first.inputs_.mean, steps.mean(0), rtol=1e-5)
    np.testing.assert_allclose(first.inputs_.scale, steps.std(0), rtol=1e-5)
    text = small(embedding_size=4, min_count=1).fit(
        TEXTS, MOODS, validation=(["Ä strange word"], ["pos"]), test=(["Öther"], ["neg"])
    )
    assert not {"ä", "strange", "öther"} & set(text.inputs_.codec.symbols)
    assert any("validation tokens are unknown" in note for note in text.run_.notes)


def test_the_test_part_changes_nothing():
    first = small().fit(SERIES[:40], LABELS[:40], test=(SERIES[40:], LABELS[40:]))
    second = small().fit(SERIES[:40], LABELS[:40], test=(SERIES[40:45], LABELS[40:45]))
    assert equal(first, second)
    assert first.evaluation_.scores != second.evaluation_.scores


def test_same_seed_same_numbers_and_other_seed_others(fitted):
    again = small(dropout=0.1).fit(SERIES, LABELS, test_share=0.2)
    assert equal(fitted, again)
    assert fitted.evaluation_.scores == again.evaluation_.scores
    assert not equal(fitted, small(dropout=0.1, seed=1).fit(SERIES, LABELS, test_share=0.2))


class StoppedError(Exception):
    pass


@pytest.mark.parametrize("kind", ["fcn", "words"])
def test_stopped_in_mid_epoch_and_resumed_is_bit_identical(kind, tmp_path, monkeypatch):
    data, labels, options = KINDS[kind]
    options = options | {"dropout": 0.3, "validation_share": 0.2, "judge": "error",
                         "batch_size": 8}  # fmt: skip
    whole = small(**options).fit(
        data, labels, checkpoint_dir=tmp_path / "w", log_dir=tmp_path / "a"
    )
    plain, calls, steps = classifier_module.classification_loss, [], len(whole.history_.steps)

    def stopping(*arguments):
        loss = plain(*arguments)

        def stop(model, batch, state):
            calls.append(model.training)
            if sum(calls) == steps * 3 // 4:
                raise StoppedError
            return loss(model, batch, state)

        return stop

    run = {"checkpoint_dir": tmp_path / "s", "checkpoint_every": 3, "log_dir": tmp_path / "b"}
    monkeypatch.setattr(classifier_module, "classification_loss", stopping)
    with pytest.raises(StoppedError):
        small(**options).fit(data, labels, **run)
    monkeypatch.setattr(classifier_module, "classification_loss", plain)
    resumed = small(**options).fit(data, labels, resume=True, **run)
    assert equal(whole, resumed)
    assert whole.history_ == resumed.history_
    assert (tmp_path / "a/log.jsonl").read_bytes() == (tmp_path / "b/log.jsonl").read_bytes()
    with pytest.raises(CheckpointError, match="data"):
        small(**options).fit(data[:-1], labels[:-1], resume=True, **run)


SCRIPT = """
import sys, torch
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from test_classifier import KINDS, small
from longspan.training import is_main_process
torch.set_num_threads(1)
data, labels, options = KINDS[sys.argv[3]]
model = small(**options, dropout=0.0, validation_share=0.2).fit(data, labels)
if is_main_process():
    torch.save([r["loss"] for r in model.history_.steps], sys.argv[1])
"""


@pytest.mark.parametrize("kind", ["fcn", "words"])
def test_two_processes_have_the_loss_curve_of_one(kind, tmp_path):
    script, here = tmp_path / "run.py", Path(__file__).parent
    script.write_text(SCRIPT)
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    found = []
    for how in ([], launcher):
        command = [sys.executable, *how, str(script), str(tmp_path / "losses"), str(here), kind]
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, env=environment, timeout=200
        )
        assert done.returncode == 0, done.stderr
        found.append(torch.load(tmp_path / "losses"))
    assert len(found[0]) == len(found[1]) > 10
    assert found[0] == pytest.approx(found[1], rel=1e-4)


def test_longer_and_shorter_than_any_seen(of_each_kind):
    data, _, model = of_each_kind
    if isinstance(data, np.ndarray):
        with pytest.raises(InputError, match="rows, columns, colours"):
            model.predict(np.zeros((1, 9, 9), np.uint8))
        return
    if isinstance(data[0], str):
        found = model.predict_proba(["good " * 500, "", "日本"])
    else:
        found = model.predict_proba([np.ones((500, 2)), np.ones((1, 2))])
        with pytest.raises(InputError, match="must have the 2 channels"):
            model.predict([np.ones((5, 3))])
    assert np.isfinite(found).all()


def test_the_shuffled_part_sees_no_more_than_the_longest():
    data, labels, options = KINDS["fcn"]
    model = small(**options).fit(data, labels)
    longest = max(map(len, data))
    assert model.network_.encoder.recurrent.input_size == longest
    long = np.ones((longest + 5, 2))
    changed = long.copy()
    changed[longest:] = 9
    part = model.inputs_.encode([long.astype(np.float32), changed.astype(np.float32)])
    batch = Part(part).batch(torch.arange(2))
    x, _ = model.network_.encoder._shuffle(batch.inputs, batch.lengths)
    assert x.shape == (2, 2, longest)
    assert torch.equal(x[:, 0], x[:, 1])


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("नमस्ते दुनिया!", "नमस्ते दुनिया !"),
        ("x\u0302+y\u0308z's", "x\u0302 + y\u0308z's"),
        ("ไม่ดี", "ไม่ดี"),
        # Marks of anything but letters stay signs of their own.
        ("\u2764\ufe0f 1\ufe0f\u20e3", "\u2764 \ufe0f 1 \ufe0f \u20e3"),
        ("Größe, don't_ 25°", "Größe , don't_ 25 °"),
    ],
)
def test_combining_marks_stay_with_their_letters(text, right):
    assert words(text) == right


def test_an_empty_text_has_a_rule():
    model = small(embedding_size=4).fit([*TEXTS, ""], [*MOODS, "neg"])
    assert model.predict_proba(["", "  \t"]).std(0).max() < 1e-7
    assert model.score(["", "very good"], ["neg", "pos"]) >= 0


@pytest.mark.parametrize("labels", [["a", "b"], [0, 1], [False, True]])
def test_class_weights_as_text(labels):
    y = np.array(labels)[np.arange(20) % 2]
    found, expected = (
        small(max_epochs=2, class_weight=weight).fit(RNG.normal(size=(20, 5)) * 0 + 1, y)
        for weight in (f'{{"{labels[1]}": 3}}', {labels[1]: 3})
    )
    assert equal(found, expected)


def test_class_weights_and_calibration():
    y = np.where(np.arange(60) < 50, "often", "rare")
    noise = RNG.normal(size=(60, 5))
    plain = small(max_epochs=10).fit(noise, y)
    heavy = small(max_epochs=10, class_weight={"rare": 50.0}).fit(noise, y)
    balanced = small(max_epochs=10, class_weight="balanced").fit(noise, y)
    rare = [(m.predict_proba(noise)[:, 1]).mean() for m in (plain, balanced, heavy)]
    assert rare[0] < rare[1] < rare[2]
    options = {"max_epochs": 20, "learning_rate": 0.03}
    held = (RNG.normal(size=(40, 5)), np.arange(40) % 2)
    y = np.arange(60) % 2
    raw, tempered = (
        small(calibrate=flag, **options).fit(noise, y, validation=held) for flag in (False, True)
    )
    assert equal(raw, tempered)
    assert raw.temperature_ == 1.0
    scores = read(raw.network_, raw.network_, raw.inputs_.encode(as_series(held[0])))
    assert tempered.temperature_ == pytest.approx(temperature_of(scores, held[1])) != 1.0
    expected = softmax(scores / tempered.temperature_, axis=1)
    np.testing.assert_allclose(tempered.predict_proba(held[0]), expected, rtol=1e-6)
    losses = [m.evaluate(*held).scores["model"]["log_loss"] for m in (tempered, raw)]
    assert losses[0] < losses[1]


def test_evaluation_with_labels_that_training_did_not_have(fitted):
    y = LABELS.astype(object)
    y[:3] = "other"
    found = fitted.evaluate(SERIES, y)
    assert found.labels == ["fast", "none", "slow", "other"]
    assert "3 of 60 sequences" in found.notes[0]
    assert found.confusion.shape == (4, 4)
    assert fitted.score(SERIES, y) == found.scores["model"]["accuracy"]
    assert {m.label for m in found.mistakes} & {"other"}


def test_files_and_frames(tmp_path):
    rows = [
        {"id": k, "time": t, "a": x[0], "b": x[1], "label": LABELS[k]}
        for k, each in enumerate(SERIES) for t, x in enumerate(each)
    ]  # fmt: skip
    table = pl.DataFrame(rows)
    direct = small().fit(SERIES, LABELS)
    framed = small().fit(table, test=table)
    assert equal(direct, framed)
    assert (framed.predict(table.drop("label")) == direct.predict(SERIES)).all()
    table.write_csv(tmp_path / "walks.csv")
    filed = small().fit(tmp_path / "walks.csv", label="label", id="id")
    assert equal(direct, filed)
    assert filed.title_ == "walks.csv"
    assert filed.score(tmp_path / "walks.csv") == direct.score(SERIES, LABELS)
    filed.save(tmp_path / "m")
    assert longspan.load(tmp_path / "m").score(tmp_path / "walks.csv") == filed.score(table)
    wide = pl.DataFrame(np.stack([each[:5, 1] for each in SERIES]))
    plain = small().fit(wide.to_numpy(), LABELS)
    for frame in (wide, wide.to_pandas()):
        of_rows = small().fit(frame, LABELS)
        assert equal(plain, of_rows)
        assert (of_rows.predict(frame) == plain.predict(wide.to_numpy())).all()


def long_table(series=SERIES, labels=LABELS):
    """Return a row for each step, with the channels a and b."""
    return pl.DataFrame([
        {"id": k, "a": x[0], "b": x[1], "label": labels[k]}
        for k, each in enumerate(series) for x in each
    ])  # fmt: skip


def test_a_signal_far_from_zero_is_not_lost(tmp_path):
    near = small().fit(SERIES, LABELS)
    far = small().fit([each + 1e8 for each in SERIES], LABELS)
    framed = small().fit(long_table([each + 1e8 for each in SERIES]))
    right = near.predict_proba(SERIES)
    for model in (far, framed):
        found = model.predict_proba([each + 1e8 for each in SERIES])
        np.testing.assert_allclose(found, right, atol=1e-3)
    far.save(tmp_path / "m")
    again = longspan.load(tmp_path / "m").predict_proba([each + 1e8 for each in SERIES])
    np.testing.assert_array_equal(again, far.predict_proba([each + 1e8 for each in SERIES]))
    weak = small().fit([1e8 + 0.01 * each for each in SERIES], LABELS)
    assert (weak.inputs_.scale < 0.05).all()  # it is no constant channel
    near.inputs_ = replace(near.inputs_, mean=near.inputs_.mean.astype(np.float32),
                           scale=near.inputs_.scale.astype(np.float32))  # fmt: skip
    near.save(tmp_path / "before")  # as models were saved
    before = longspan.load(tmp_path / "before")
    np.testing.assert_allclose(before.predict_proba(SERIES), right, atol=1e-5)


def test_channels_are_found_by_their_names(tmp_path):
    table = long_table()
    turned = table.select("id", "label", pl.lit(3.0).alias("extra"), "b", "a")
    model = small().fit(table, test=turned, validation=turned)
    right = model.predict_proba(table)
    assert model.evaluation_.scores["model"]["accuracy"] == model.score(table)
    model.save(tmp_path / "m")
    for each in (model, longspan.load(tmp_path / "m")):
        np.testing.assert_array_equal(each.predict_proba(turned), right)
        with pytest.raises(InputError, match="'b'"):
            each.predict(table.rename({"b": "zz"}))
    with pytest.raises(InputError, match="'b'"):
        small().fit(table, test=table.drop("b"))
    np.testing.assert_array_equal(model.predict_proba(SERIES), right)  # arrays have no names


@pytest.mark.parametrize("suffix", ["csv", "jsonl"])
@pytest.mark.parametrize("strange", ["training", "test"])
def test_labels_of_files_are_known_whatever_else_a_file_has(strange, suffix, tmp_path):
    """One odd label makes texts of a file's numbers."""
    parts = {}
    for name in ("training", "test"):
        labels = ["0", "1"] * 20 + ["x", "x"] * (name == strange)
        texts = [f"{'good' if label == '1' else 'bad'} film" for label in labels]
        table = pl.DataFrame({"text": texts, "label": labels})
        parts[name] = tmp_path / f"{name}.{suffix}"
        if suffix == "csv":
            table.write_csv(parts[name])
        else:
            numbers = [int(each) if each != "x" else each for each in labels]
            parts[name].write_text("".join(
                json.dumps({"text": t, "label": n}) + "\n"
                for t, n in zip(texts, numbers, strict=True)
            ))  # fmt: skip
    model = small(learning_rate=0.05, max_epochs=10).fit(parts["training"], test=parts["test"])
    score = model.score(parts["test"])
    assert score == model.evaluation_.scores["model"]["accuracy"]
    if strange == "test":
        assert model.classes_.tolist() == [0, 1]
        assert score == 40 / 42
        assert "2 of 42" in model.evaluation_.notes[0]
        assert model.evaluation_.labels == [0, 1, "x"]
        with pytest.raises(InputError, match="has the label 'x'"):
            small().fit(parts["training"], validation=parts["test"])
    else:
        assert model.classes_.tolist() == ["0", "1", "x"]
        assert score == 1.0
        assert small().fit(parts["training"], validation=parts["test"])


@pytest.mark.parametrize(
    ("message", "data", "labels"),
    [
        ("but one class, \\['a'\\]", SERIES, ["a"] * 60),
        ("60 sequences and 59 labels", SERIES, LABELS[:-1]),
        ("requires y to be passed", SERIES, None),
        ("sequence 3, step 2, channel 1", [*SERIES[:3], np.where(np.arange(10)[:, None] == [[9, 2]],
         np.nan, 1.0), *SERIES[4:]], LABELS),
        ("Text 1 .* is a float", ["a", float("nan"), *TEXTS[2:]], MOODS),
        ("at least one text", np.array([], str), []),
        ("Images must be", np.zeros((60, 3, 3, 3, 3)), LABELS),
        ("cannot be read", "none.ts", None),
    ],
)  # fmt: skip
def test_bad_data(message, data, labels):
    kind = "image" if "Images" in message else "auto"
    with pytest.raises(InputError, match=message):
        small(input=kind).fit(data, labels)


def test_bad_validation_and_use(fitted):
    with pytest.raises(InputError, match="has the label 'other'"):
        small().fit(SERIES, LABELS, validation=(SERIES[:2], ["slow", "other"]))
    with pytest.raises(InputError, match="channels"):
        small().fit(SERIES, LABELS, validation=(np.ones((2, 4)), ["slow", "fast"]))
    unfitted = small()
    with pytest.raises(InputError, match="channels"):
        unfitted.fit(SERIES, LABELS, test=(np.ones((2, 4)), ["slow", "fast"]))
    assert not hasattr(unfitted, "network_")  # it is told before the training
    with pytest.raises(InputError, match="requires y"):
        fitted.evaluate(SERIES)
    model = small()
    for use in (model.predict, model.predict_proba, model.score, model.features, model.evaluate):
        with pytest.raises(NotFittedError):
            use(SERIES)
    with pytest.raises(NotFittedError):
        model.save("somewhere")


@pytest.mark.parametrize(
    ("message", "options"),
    [
        ("`pooling` = 'sum'", {"pooling": "sum"}),
        ("need front", {"filters": (3,)}),
        ("2 filters and 1 kernel_sizes", {"front": "cnn", "filters": (3, 4), "kernel_sizes": (3,)}),
        ("squeeze_excite needs", {"squeeze_excite": True}),
        ("calibrate needs", {"calibrate": True, "validation_share": 0.0}),
        ("layer_norm needs", {"layer_norm": True, "cell": "rnn"}),
        ("class_weight must be", {"class_weight": "heavy"}),
        ("class_weight has 2 for 'x'", {"class_weight": {"x": 2}}),
        ("class_weight has '2' for 'slow'", {"class_weight": {"slow": "2"}}),
        ("is not JSON, such as", {"class_weight": "{slow: 2}"}),
        ("class_weight has 0 for 'slow'", {"class_weight": {"slow": 0}}),
    ],
)
def test_bad_options(message, options):
    with pytest.raises(InputError, match=message):
        small(**options).fit(SERIES, LABELS)


DAMAGES = {
    "beyond": lambda c: c["options"].update(hidden_size=10**9),
    "must be": lambda c: c["options"].update(hidden_size=60000, num_layers=200),
    "no input of the kind": lambda c: c["inputs"].update(kind="sound"),
    "positive whole": lambda c: c["inputs"].update(size=0),
    "must be torch.float64": lambda c: c["inputs"].update(size=3),
    "two different labels": lambda c: c["classes"].update(labels=["a"]),
    "cannot be of type": lambda c: c["classes"].update(dtype="<M8[s]"),
    "positive temperature": lambda c: c.update(temperature=0.0),
    "count of each class": lambda c: c.update(class_counts=[1]),
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


def test_the_record_of_a_run(fitted):
    run = fitted.run_
    assert run.facts["training sequences"] + run.facts["test sequences"] == 60
    assert sum(run.classes.values()) == run.facts["training sequences"]
    assert "No sequences were held out" in run.notes[0]
    assert run.history.best_epoch is None
    judged = small(validation_share=0.2).fit(SERIES, LABELS).run_
    assert judged.history.best_epoch is not None
    assert "validation sequences" in judged.facts
