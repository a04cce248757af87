"""The command line: parse, call an estimator, print. Heavy modules are imported by the commands.

A mistake of the user's ends with one message on standard error and exit code 2.
"""

from longspan.cli import forecast, language, models, translate
from longspan.cli.application import app, main, with_file
from longspan.cli.forecast import print_scores
from longspan.cli.translate import print_translate_scores

__all__ = [
    "app", "forecast", "language", "main", "models", "print_scores",
    "print_translate_scores", "translate", "with_file",
]  # fmt: skip
