"""What is printed where it cannot be: full disks, pipes that end, streams that are closed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.cli.command import ENVIRONMENT, run

from longspan.cli.run import print_table

LIST = f"{sys.executable} -m longspan reproduce --list"


def shell(command, **variables):
    environment = ENVIRONMENT | variables
    return subprocess.run(
        ["bash", "-c", f"set -o pipefail; {command}"], capture_output=True, text=True, check=False,
        env=environment,
    )  # fmt: skip


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the system has no /dev/full")
def test_a_full_disk_is_a_message():
    done = shell(f"{LIST} > /dev/full")
    assert (done.returncode, done.stderr) == (2, "longspan: No space left on device\n")


def test_the_reader_of_a_pipe_may_have_enough():
    done = shell(f"{LIST} | head -c 10")
    assert (done.returncode, done.stderr, len(done.stdout)) == (0, "", 10)


def test_closed_streams_are_like_the_null_device():
    assert shell(f"{LIST} >&-").returncode == 0
    assert shell(f"{LIST} >&- 2>&-").returncode == 0
    assert shell(f"{LIST} 2>&-").stdout.count("adding") > 2
    mistake = f"{sys.executable} -m longspan reproduce ading"
    assert shell(f"{mistake} 2>&-").returncode == 2


def test_letters_that_the_terminal_has_not():
    done = shell(LIST, PYTHONIOENCODING="ascii")
    assert done.returncode == 2
    assert "Standard output is in ascii, which has no" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_file_of_options_may_be_named_in_one_word(tmp_path):
    (tmp_path / "options.yaml").write_text("list: true\n")
    done = run("reproduce", f"--config={tmp_path / 'options.yaml'}")
    assert done.returncode == 0, done.stderr
    assert "adding-1000" in done.stdout
    assert "--config" in run("--help").stdout
    assert "--config" in run("fit", "--help").stdout


def test_names_in_a_table_are_no_markup(capsys):
    print_table("Scores", "class", {"f1": "F1"}, {"[/i]": {"f1": 0.5}, "[red]": {"f1": 0.25}})
    printed = capsys.readouterr().out
    assert "[/i]" in printed
    assert "[red]" in printed


def test_nothing_else_is_swallowed():
    code = "from longspan.cli import application as a; a.app = lambda *w, **k: 1 / 0; a.main([])"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, env=os.environ
    )
    assert done.returncode == 1
    assert "ZeroDivisionError" in done.stderr
