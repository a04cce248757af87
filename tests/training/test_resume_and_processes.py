"""Real processes: killed and resumed, and two at once."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

SCRIPT = Path(__file__).with_name("run.py")
KINDS = ["shuffled", "stream", "plateau"]


def start(*words: object) -> subprocess.CompletedProcess:
    command = [sys.executable, str(SCRIPT), *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """Runs that were never stopped."""
    directories = {}
    for kind in KINDS:
        directories[kind] = tmp_path_factory.mktemp(kind)
        done = start(directories[kind], kind)
        assert done.returncode == 0, done.stderr
    return directories


# Steps in the first epoch, at its end, right after a checkpoint, in mid-epoch, near the end.
@pytest.mark.parametrize("kill_at", [1, 3, 8, 11, 17])
@pytest.mark.parametrize("kind", KINDS)
def test_killed_and_resumed_is_bit_identical(kind, kill_at, undisturbed, tmp_path):
    killed = start(tmp_path, kind, "kill", kill_at)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    done = start(tmp_path, kind, "resume")
    assert done.returncode == 0, done.stderr
    for name in ("log.jsonl", "steps.json"):
        assert (tmp_path / name).read_bytes() == (undisturbed[kind] / name).read_bytes()
    a, b = (torch.load(d / "weights.pt") for d in (tmp_path, undisturbed[kind]))
    assert all(torch.equal(a[name], b[name]) for name in b)


def test_resuming_a_finished_run_changes_nothing(undisturbed):
    directory = undisturbed["shuffled"]
    before = {p.name: p.read_bytes() for p in directory.iterdir() if p.name != "weights.pt"}
    assert start(directory, "shuffled", "resume").returncode == 0
    assert before == {p.name: p.read_bytes() for p in directory.iterdir() if p.name in before}


@pytest.mark.parametrize("kind", KINDS)
def test_two_processes_have_the_loss_curve_of_one(kind, tmp_path):
    one, two = tmp_path / "one", tmp_path / "two"
    one.mkdir()
    two.mkdir()
    assert start(one, kind, "plain").returncode == 0
    command = [
        sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2",
        str(SCRIPT), str(two), kind, "plain",
    ]  # fmt: skip
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    a, b = (json.loads((d / "steps.json").read_text()) for d in (one, two))
    assert len(a) == len(b) > 15
    assert a == pytest.approx(b, rel=1e-5)
    weights = [torch.load(d / "weights.pt") for d in (one, two)]
    for name, value in weights[0].items():
        torch.testing.assert_close(value, weights[1][name], rtol=1e-4, atol=1e-5)
