"""The reference: `longspan.cells.scan`, which runs everything."""

from __future__ import annotations

from longspan.cells import ScanResult, scan
from longspan.kernels.call import Call


class Reference:
    """Runs any cell with any option, on any device and in any dtype, by a loop over time."""

    def why_not(self, call: Call) -> str | None:
        """Return None: the specification runs everything."""
        return None

    def run(self, call: Call) -> ScanResult:
        """Run the scan."""
        return scan(
            call.cell,
            call.x,
            call.state,
            call.params,
            layout=call.layout,
            noise=call.noise,
            normalisers=call.normalisers,
            record_gates=call.record_gates,
        )
