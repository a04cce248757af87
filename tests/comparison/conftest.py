from __future__ import annotations

import numpy as np
import pytest

STEPS = np.arange(12)


@pytest.fixture(scope="session")
def waves():
    """Slow and fast waves with noise, and their names."""
    rng = np.random.default_rng(0)
    data = [np.sin(STEPS * (0.3, 0.8)[k % 2] + rng.normal()) + 0.3 * rng.normal(size=12)
            for k in range(60)]  # fmt: skip
    return np.array(data), np.array(["slow", "fast"] * 30)
