"""Train a tagger on requests to an assistant: what is wanted, and the words that say of what.

    python examples/tag.py
    python examples/tag.py train.conll

Without a file, the requests are made from templates, and the names in the test part are new ones:
half a minute.
"""

from __future__ import annotations

import argparse
import random
from pathlib import Path

from longspan import Tagger
from longspan.cli import print_tag_scores
from longspan.insight import tag_html

OUTPUT = Path("tag-report")
TEMPLATES = {
    "music": ["play {song} by {artist}", "put on {song}", "i want to hear something by {artist}"],
    "weather": ["will it rain in {town} on {day}", "how warm is it in {town}", "weather {day}"],
    "travel": ["book a train from {town} to {town} on {day}", "when is the next bus to {town}"],
}
SYLLABLES = {
    "song": ["love", "night", "blue", "dream", "fire", "rain", "heart"],
    "artist": ["zo", "ma", "rik", "lou", "tan", "vi"],
    "town": ["north", "ash", "green", "mill", "oak", "stone", "ton", "ford", "ham", "bury"],
    "day": ["monday", "friday", "sunday", "may", "june", "first", "second", "third"],
}
Requests = tuple[list[list[str]], list[list[str]], list[str]]


def requests(count: int, seed: int) -> Requests:
    """Return words, labels (BIO) and intents of so many requests."""
    draw = random.Random(seed)
    words: list[list[str]] = []
    labels: list[list[str]] = []
    intents = draw.choices(list(TEMPLATES), k=count)
    for intent in intents:
        own: list[str] = []
        tags: list[str] = []
        for word in draw.choice(TEMPLATES[intent]).split():
            slot = word.strip("{}")
            name = _name(slot, draw) if slot != word else [word]
            own += name
            inside = [f"I-{slot}"] * (len(name) - 1)
            tags += [f"B-{slot}", *inside] if slot != word else ["O"]
        words.append(own)
        labels.append(tags)
    return words, labels, intents


def _name(slot: str, draw: random.Random) -> list[str]:
    """Return a name of one to three words, most of them new each time."""
    count = draw.randint(1, 3 if slot == "song" else 2)
    if slot in ("song", "day"):
        return draw.choices(SYLLABLES[slot], k=count)
    return ["".join(draw.choices(SYLLABLES[slot], k=2)) for _ in range(count)]


def main() -> None:
    """Train, score, and save the model with its report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", nargs="?", help="labelled sequences, as for longspan fit tag")
    parser.add_argument("--epochs", type=int, default=8)
    given = parser.parse_args()
    tagger = Tagger(max_epochs=given.epochs, hidden_size=64)
    if given.data:
        tagger.fit(given.data, test_share=0.1, progress=True)
    else:
        tagger.fit(*requests(1500, seed=0), test=requests(300, seed=1), progress=True)
    assert tagger.evaluation_ is not None
    tagger.save(OUTPUT, report=tag_html(tagger.run_))
    print_tag_scores(tagger.evaluation_)
    if not given.data:
        sentence = ["will", "it", "rain", "in", "oakbury", "on", "sunday"]
        print(list(zip(sentence, tagger.predict([sentence])[0], strict=True)))
    print(f"Report: {OUTPUT / 'report.html'}")


if __name__ == "__main__":
    main()
