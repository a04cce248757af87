"""`make bench`: every benchmark that needs no other data, one after the other."""

from __future__ import annotations

from benchmarks.speed import data_scale, loop_overhead
from benchmarks.speed.kernels.__main__ import main as kernels

for benchmark in (loop_overhead.main, data_scale.main, lambda: kernels([])):
    benchmark()
    print()
