"""Write numbers in words, from the last digit to the first, and look where the network looked.

    python examples/translate.py

Takes about a minute.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from longspan import Translator
from longspan.cli import print_translate_scores
from longspan.insight import translate_html

OUTPUT = Path("translate-report")
NAMES = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]


def pairs(count: int) -> list[tuple[str, str]]:
    """Return numbers of one to eight digits and their digits in words, the last one first."""
    rng = np.random.default_rng(0)
    numbers = [rng.integers(0, 10, length) for length in rng.integers(1, 9, count)]
    return [
        ("".join(map(str, digits)), " ".join(NAMES[k] for k in digits[::-1])) for digits in numbers
    ]


def main() -> None:
    """Train, score, translate, and save the model with its report."""
    model = Translator(
        tokens="characters", target_tokens="words", hidden_size=64, embedding_size=32, dropout=0.1,
        learning_rate=0.01, max_epochs=10,
    )  # fmt: skip
    model.fit(pairs(5000), test_share=0.1, progress=True)
    assert model.evaluation_ is not None
    model.title_ = "Numbers in words, backwards"
    model.save(OUTPUT, report=translate_html(model.run_))
    print_translate_scores(model.evaluation_)
    for translation in model.translate("20261126", n_best=3):
        print(f"{translation.score:8.3f}  {translation.text}")
    print(f"Report: {OUTPUT / 'report.html'}")


if __name__ == "__main__":
    main()
