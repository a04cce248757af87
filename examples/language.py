"""A character language model of Python's reference manual, which is in the standard library.

    python examples/language.py

Takes some minutes; ``--epochs 2`` gives a first impression.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from pydoc_data.topics import topics

from longspan import LanguageModel
from longspan.cli import print_language_scores
from longspan.insight import language_html

OUTPUT = Path("language-report")


def main() -> None:
    """Train, score, write some text, and save the model with its report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=12)
    given = parser.parse_args()
    text = "\n".join(topics[name] for name in sorted(topics))
    model = LanguageModel(dropout=0.3, max_epochs=given.epochs)
    model.fit(text, test_share=0.05, progress=True)
    assert model.evaluation_ is not None
    model.title_ = "Python's reference manual"
    model.save(OUTPUT, report=language_html(model.run_))
    print_language_scores(model.evaluation_)
    for part in model.stream("The class ", max_tokens=400, temperature=0.7):
        print(part, end="", flush=True)
    print(f"\nReport: {OUTPUT / 'report.html'}")


if __name__ == "__main__":
    main()
