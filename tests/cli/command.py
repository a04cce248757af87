"""Running the command line in processes of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

ENVIRONMENT = os.environ | {"OMP_NUM_THREADS": "1", "COLUMNS": "160"}
LONGSPAN = [sys.executable, "-m", "longspan"]
TWO = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]


def run(*words, **options):
    """Run ``longspan WORDS``."""
    command = [*LONGSPAN, *map(str, words)]
    return subprocess.run(
        command, capture_output=True, text=True, check=False, env=ENVIRONMENT, **options
    )


def run_in_two_processes(*words):
    """Run ``longspan WORDS`` under torchrun."""
    command = [*TWO, "-m", "longspan", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=ENVIRONMENT)


def run_and_kill(*words, checkpoint):
    """Run ``longspan WORDS`` and kill it as soon as the checkpoint is there."""
    command = [*LONGSPAN, *map(str, words)]
    silent = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    process = subprocess.Popen(command, env=ENVIRONMENT, **silent)
    while not checkpoint.exists():
        assert process.poll() is None
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait()


def check_killed_and_resumed(words, tmp_path):
    """SIGKILL whenever it comes, then --resume: the same weights and the same log, bit for bit.

    Args:
        words: A ``longspan fit`` that takes many more than seven steps.
    """

    def all_words(name):
        return [
            *words, "--checkpoint-dir", tmp_path / f"{name}-state", "--checkpoint-every", "7",
            "--log-dir", tmp_path / f"{name}-log", "--resume", "--no-report",
            "--output", tmp_path / name,
        ]  # fmt: skip

    done = run(*all_words("whole"))
    assert done.returncode == 0, done.stderr
    run_and_kill(*all_words("killed"), checkpoint=tmp_path / "killed-state" / "checkpoint.pt")
    assert not (tmp_path / "killed").exists()
    assert run(*all_words("killed")).returncode == 0
    weights = [(tmp_path / n / "model.safetensors").read_bytes() for n in ("killed", "whole")]
    assert weights[0] == weights[1]
    logs = [(tmp_path / f"{n}-log" / "log.jsonl").read_bytes() for n in ("killed", "whole")]
    assert logs[0] == logs[1]


def check_mistakes(cases):
    """Each ends with its message on standard error, exit code 2 and no traceback."""
    for message, words in cases.items():
        done = run(*words)
        assert done.returncode == 2, (words, done.stdout, done.stderr)
        assert message in done.stderr, (message, done.stderr)
        assert "Traceback" not in done.stderr
