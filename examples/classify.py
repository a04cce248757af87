"""Tell handwritten digits apart, row by row, and say how sure that is.

The data are the 1,797 digits of 8 × 8 pixels that come with scikit-learn. A third is held out.
"""

from __future__ import annotations

import time
from pathlib import Path

from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from longspan import Classifier
from longspan.cli import print_class_scores
from longspan.insight import classify_html

OUTPUT = Path("runs/classify-digits")


def main() -> None:
    """Train, score, and save the model with its report."""
    began = time.perf_counter()
    digits = load_digits()
    images, rest, labels, right = train_test_split(
        digits.images, digits.target, test_size=1 / 3, random_state=0, stratify=digits.target
    )
    model = Classifier(input="image", bidirectional=True, calibrate=True, max_epochs=20)
    model.fit(images, labels, test=(rest, right), progress=True)
    assert model.evaluation_ is not None
    model.save(OUTPUT, report=classify_html(model.run_))
    print_class_scores(model.evaluation_)
    print(f"Took {time.perf_counter() - began:.0f} s. Report: {OUTPUT / 'report.html'}")


if __name__ == "__main__":
    main()
