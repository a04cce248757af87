"""Fast ways to run the cells of `longspan.cells`: one layer, one direction, a whole sequence.

`IMPLEMENTATIONS` lists them, fastest first. A new one is a class with ``why_not`` and ``run`` (see
`Implementation`) and one entry there.
"""

from longspan.kernels.call import Call, Implementation
from longspan.kernels.dispatch import IMPLEMENTATIONS, choose, explain, force, run

__all__ = ["IMPLEMENTATIONS", "Call", "Implementation", "choose", "explain", "force", "run"]
