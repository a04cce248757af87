"""Timing: contestants take turns in one process; medians; correct before timed."""

from __future__ import annotations

import ctypes
import random
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch

#: Seconds for each contestant, rounds at least and at most, and rounds that do not count.
SECONDS, LEAST, MOST, WARM_UP = 1.5, 7, 200, 1
#: Pause before each turn: ONNX Runtime's threads spin after a run, for 35 ms on a fast processor
#: and for more than 50 on a slow one, PyTorch's and ours for 10, and would take a processor from
#: whoever comes next.
PAUSE = 0.12
#: Seconds of a turn that wake the threads and fill the caches (a virtual machine's second processor
#: may take 10 ms to come back from sleep), and seconds that count, at least.
WAKE, TURN = 0.02, 0.006

LIMIT = """
#include <chrono>
#include <thread>
typedef float v __attribute__((vector_size(64)));
#define ALL(DO) DO(0) DO(1) DO(2) DO(3) DO(4) DO(5) DO(6) DO(7) DO(8) DO(9) DO(10) DO(11)
static void run(long n, float seed, float* out) {
  v b = v{} + seed, c = v{} + 1e-3f;
#define MAKE(k) v a##k = v{} + k * seed;
#define STEP(k) a##k = a##k * b + c; asm volatile("" : "+x"(a##k));
#define ADD(k) *out += a##k[0];
  ALL(MAKE)
  for (long i = 0; i < n; ++i) { ALL(STEP) }
  *out = 0; ALL(ADD)
}
extern "C" double limit(long n) {
  float x, y;
  auto t = std::chrono::steady_clock::now();
  std::thread other(run, n, 0.999f, &x); run(n, 0.998f, &y); other.join();
  std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - t;
  return 2.0 * n * 12 * 32 / seconds.count();
}
"""


def multiply_add_limit() -> float:
    """Return float32 operations a second of two threads: the best of five loops that do only that.

    Without a compiler, the best of large matrix products, which is somewhat less.
    """
    with tempfile.TemporaryDirectory() as folder:
        source, library = Path(folder, "limit.cpp"), Path(folder, "limit.so")
        source.write_text(LIMIT)
        command = ["g++", "-O3", "-march=native", "-shared", "-fPIC", "-pthread"]
        try:
            subprocess.run([*command, source, "-o", library], check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError):
            return _product_limit()
        function = ctypes.CDLL(str(library)).limit
        function.restype, function.argtypes = ctypes.c_double, [ctypes.c_long]
        return max(function(20_000_000) for _ in range(5))


def _product_limit() -> float:
    best = 0.0
    for n in (512, 1024, 2048):
        a = torch.randn(n, n)
        for _ in range(5):
            began = time.perf_counter()
            a @ a
            best = max(best, 2.0 * n**3 / (time.perf_counter() - began))
    return best


def take_turns(contestants: dict[str, Callable[[], float]], quick: bool) -> dict[str, float]:
    """Return each contestant's median in seconds; each returns its own time of one run.

    A turn is at least one run that does not count and two that do. The order is another in every
    round, so that nobody always follows the same one.
    """
    times: dict[str, list[float]] = {name: [] for name in contestants}
    order, shuffle = list(contestants), random.Random(0).shuffle
    began, rounds = time.perf_counter(), 0
    limit = SECONDS * len(contestants) * (0.1 if quick else 1.0)
    while rounds < LEAST + WARM_UP or time.perf_counter() - began < limit:
        shuffle(order)
        for name in order:
            found = _turn(contestants[name])
            times[name] += found if rounds >= WARM_UP else []
        rounds += 1
        if rounds == MOST:
            break
    return {name: statistics.median(values) for name, values in times.items()}


def _turn(run: Callable[[], float]) -> list[float]:
    time.sleep(PAUSE)
    spent = 0.0
    while spent < WAKE:
        spent += run()
    found = [run(), run()]
    while sum(found) < TURN:
        found.append(run())
    return found


def timed(function: Callable[[], object]) -> Callable[[], float]:
    """Return a function that runs another and returns its seconds."""

    def run() -> float:
        began = time.perf_counter()
        function()
        return time.perf_counter() - began

    return run


def assert_equal(found: torch.Tensor, expected: torch.Tensor, what: str) -> None:
    """Stop if values differ by more than 1e-3 of the largest: wrong is not to be timed."""
    error = (found - expected).abs().max() / expected.abs().max()
    if not error < 1e-3:
        raise AssertionError(f"{what} computes something else: it is off by {error:.1e}.")
