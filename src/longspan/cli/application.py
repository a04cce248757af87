"""The application that commands are registered with, options from files, and exit codes."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any, NoReturn

from cyclopts import App, CycloptsError, Parameter

from longspan import __version__
from longspan.errors import InputError, LongspanError

app = App(
    name="longspan",
    version=__version__,
    help="Train, explain and serve LSTM networks and their family. Every command also takes "
    "--config FILE.yaml: options by the flags' names; flags on the command line win.",
    default_parameter=Parameter(consume_multiple=True, negative_iterable=(), negative_none=()),
    help_format="plaintext",
)
fit = App(
    name="fit",
    help="Train a model on your data. --config FILE.yaml: options by the flags' names.",
)
app.command(fit)


def main(arguments: list[str] | None = None) -> NoReturn:
    """Run the command line and exit.

    0; 2 after a user's mistake, or where something cannot be read or written; 130 after an
    interruption. Where the reader of a pipe has enough, as ``head`` does, that is no mistake.
    """
    _open_missing_streams()
    try:
        words = with_file(list(sys.argv[1:] if arguments is None else arguments))
        app(words, exit_on_error=False, print_error=False)
        sys.stdout.flush()  # what cannot be written shows here, not when Python ends
    except BrokenPipeError:
        _drop_output()
    except (LongspanError, CycloptsError, OSError, UnicodeEncodeError) as error:
        print(f"longspan: {in_words(error)}", file=sys.stderr)
        try:
            sys.stdout.flush()
        except OSError:
            _drop_output()
        sys.exit(2)
    except KeyboardInterrupt:
        print("longspan: interrupted", file=sys.stderr)
        sys.exit(130)
    sys.exit(0)


def _open_missing_streams() -> None:
    """Let what is printed go nowhere where a daemon was started without output."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open("w"))  # noqa: SIM115 - until the end


def _drop_output() -> None:
    """Drop what could not be written, or Python would try again at its end and fail once more."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def in_words(error: Exception) -> str:
    """Return a user's mistake in words."""
    from pydantic import ValidationError

    if isinstance(error, OSError):
        place = f"{error.filename}: " if error.filename else ""
        return f"{place}{error.strerror or error}"
    if isinstance(error, UnicodeEncodeError):
        letter = error.object[error.start]
        return (
            f"Standard output is in {error.encoding}, which has no {letter!r}. Set "
            "PYTHONIOENCODING=utf-8, or name a file with --output."
        )

    cause = error.__cause__ or error.__context__
    if not isinstance(cause, ValidationError):
        return str(error)
    from longspan.tasks.estimator import problems

    return "\n".join(problems(cause))


def with_file(words: list[str]) -> list[str]:
    """Return the command line with the options of ``--config FILE.yaml`` in its place.

    The file has the flags' names, with ``_`` or ``-``; a flag on the command line wins.

    Raises:
        InputError: If the file cannot be read.
    """
    words = [part for word in words for part in _parts(word)]
    if "--config" not in words:
        return words
    at = words.index("--config")
    if at + 1 == len(words):
        raise InputError("--config needs the name of a YAML file.")
    values = _read_yaml(Path(words[at + 1]))
    rest = words[:at] + words[at + 2 :]
    for name, value in values.items():
        flag = "--" + str(name).replace("_", "-")
        negative = flag.replace("--", "--no-", 1)
        if not any(word.split("=")[0] in (flag, negative) for word in rest):
            rest += _flag(flag, negative, value)
    return rest


def _parts(word: str) -> list[str]:
    """Return ``--config=FILE`` as two words, and any other as it is."""
    return word.split("=", 1) if word.startswith("--config=") else [word]


def _flag(flag: str, negative: str, value: Any) -> list[str]:
    if isinstance(value, bool):
        return [flag if value else negative]
    if isinstance(value, list):
        return [flag, *map(str, value)]
    if isinstance(value, dict):
        return [flag, json.dumps(value, ensure_ascii=False)]
    return [flag, "none" if value is None else str(value)]


def _read_yaml(path: Path) -> dict[str, Any]:
    import yaml

    try:
        values = yaml.safe_load(path.read_text("utf-8"))
    except (OSError, UnicodeError, yaml.YAMLError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"The file {path} cannot be read as YAML: {reason}.") from None
    if not isinstance(values, dict):
        raise InputError(f"The file {path} must hold lines like `horizon: 24`.")
    return values
