"""The command line: parse, call an estimator, print. Heavy modules are imported by the commands.

A mistake of the user's ends with one message on standard error and exit code 2.
"""

from longspan.cli import (
    classify,
    compare,
    features,
    forecast,
    inspect,
    language,
    models,
    reproduce,
    tag,
    translate,
)
from longspan.cli.application import app, main, with_file
from longspan.cli.classify import print_class_scores
from longspan.cli.compare import print_comparison
from longspan.cli.features import print_feature_scores
from longspan.cli.forecast import print_scores
from longspan.cli.language import print_language_scores
from longspan.cli.tag import print_tag_scores
from longspan.cli.translate import print_translate_scores

__all__ = [
    "app", "classify", "compare", "features", "forecast", "inspect", "language", "main", "models",
    "print_class_scores", "print_comparison", "print_feature_scores", "print_language_scores",
    "print_scores", "print_tag_scores", "print_translate_scores", "reproduce", "tag", "translate",
    "with_file",
]  # fmt: skip
