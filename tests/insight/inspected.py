"""A tiny fitted model of each task, with data to look into it."""

from __future__ import annotations

from functools import cache

import numpy as np

from longspan import Classifier, Forecaster, LanguageModel, Tagger, Translator

TEXT = "the cat sat on the mat.\nthe <b>dog</b> ate &amp; food!\n" * 20
WORDS = ["zero", "one", "two"]
PAIRS = [(f"{a}{b}", f"{WORDS[a]} {WORDS[b]}") for a in range(3) for b in range(3)] * 4
SENTENCES = [["book", "to", "New", "York"], ["show", "me", "Rome"], ["Oslo"], ["to", "Bonn"]] * 5
LABELS = [["O", "O", "B-city", "I-city"], ["O", "O", "B-city"], ["B-city"], ["O", "B-city"]] * 5
REVIEWS, STARS = ["good film that I liked", "bad <i>film</i>", "awful"] * 8, [1, 0, 0] * 8


@cache
def waves():
    """Series of different lengths and two channels, and their classes."""
    rng = np.random.default_rng(0)
    made = [
        np.stack([np.sin(f * np.arange(n)), rng.normal(size=n)], 1)
        for f in (0.3, 0.9)
        for n in (6, 9, 12, 7, 12, 10)
    ]
    return made, ["slow"] * 6 + ["fast"] * 6


@cache
def hours():
    """Three days of hours with a price that is known in advance and rain that is not."""
    import polars as pl

    rng = np.random.default_rng(0)
    price, rain = rng.normal(size=(2, 130))
    y = 10 + np.sin(2 * np.pi * np.arange(130) / 6) + 0.5 * price
    return pl.DataFrame({"step": np.arange(130), "y": y, "price": price, "rain": rain})


@cache
def forecaster(**options):
    options = {"horizon": 3, "season_length": 6, "context_length": 12} | options
    roles = {"past_covariates": ["rain"]} if options.get("decoding") != "recursive" else {}
    model = Forecaster(hidden_size=6, max_steps=8, batch_size=16, **options)
    data = hours()
    if options.get("likelihood") == "negative_binomial":
        data = data.with_columns(data["y"].round())
    return model.fit(data, target="y", time="step", future_covariates=["price"], **roles)


@cache
def language(**options):
    options = {"hidden_size": 8, "num_layers": 2, "bptt_length": 10, "max_epochs": 2} | options
    return LanguageModel(**options).fit(TEXT)


@cache
def classifier(**options):
    return Classifier(hidden_size=6, max_epochs=4, calibrate=False, **options).fit(*waves())


@cache
def reviewer(**options):
    model = Classifier(hidden_size=6, embedding_size=5, max_epochs=4, calibrate=False, **options)
    return model.fit(REVIEWS, STARS)


@cache
def tagger(**options):
    options = {"hidden_size": 6, "word_size": 6, "character_size": 4, "max_epochs": 2} | options
    return Tagger(batch_size=4, **options).fit(SENTENCES, LABELS)


@cache
def translator(**options):
    options = {"tokens": "characters", "target_tokens": "words", "embedding_size": 6} | options
    model = Translator(hidden_size=8, max_epochs=2, validation_share=0, **options)
    return model.fit(PAIRS)


#: Model, data and how they are read, by name.
ALL = {
    "forecaster": lambda: (forecaster(), hours(), {}),
    "forecaster, encoder and decoder": lambda: (
        forecaster(decoding="encoder_decoder", likelihood="student_t"), hours(), {}
    ),
    "forecaster, recursive": lambda: (forecaster(decoding="recursive"), hours(), {}),
    "forecaster, without season": lambda: (forecaster(season_length=1), hours(), {}),
    "forecaster of counts": lambda: (
        forecaster(likelihood="negative_binomial"), hours().with_columns(hours()["y"].round()), {}
    ),
    "language model": lambda: (language(), TEXT, {}),
    "language model, words, adaptive": lambda: (
        language(tokens="words", softmax="adaptive", cutoffs=(3,), weight_drop=0.2), TEXT, {}
    ),
    "classifier": lambda: (classifier(), waves()[0], {"labels": waves()[1]}),
    "classifier, both ways": lambda: (
        classifier(bidirectional=True, pooling="attention"), waves()[0], {"labels": waves()[1]}
    ),
    "classifier, convolutions": lambda: (
        classifier(front="cnn", pool_size=2), waves()[0], {"labels": waves()[1]}
    ),
    "classifier of texts": lambda: (reviewer(), REVIEWS, {"labels": STARS}),
    "tagger": lambda: (tagger(), SENTENCES, {"labels": LABELS}),
    "tagger, characters by LSTM": lambda: (
        tagger(character_encoder="lstm", crf=False), SENTENCES, {"labels": LABELS}
    ),
    "translator": lambda: (translator(), PAIRS, {}),
    "translator, input feeding": lambda: (translator(input_feeding=True), PAIRS, {}),
    "translator, no attention, GRU": lambda: (
        translator(attention="none", cell="gru"), PAIRS, {}
    ),
}  # fmt: skip
