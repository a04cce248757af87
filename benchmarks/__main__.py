"""`make bench`: every benchmark that needs nothing but Longspan, one after the other."""

from __future__ import annotations

from benchmarks.speed import data_scale, layers, loop_overhead

for benchmark in (loop_overhead, layers, data_scale):
    benchmark.main()
    print()
