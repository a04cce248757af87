"""What every test of the kernels leaves behind: nothing."""

from __future__ import annotations

import pytest
import torch

from longspan.kernels.loader import native


@pytest.fixture(autouse=True)
def restore():
    """Put back the number of threads, the build, and when more threads pay."""
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)
    if native is not None:
        native.choose(native.builds()[0])
        native.set_thresholds()
