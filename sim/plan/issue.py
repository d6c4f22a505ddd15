"""What the host takes to issue a pass whose end the framework waits for.

Where nothing is waited for, the host runs ahead over passes and only the sum counts. Megatron-LM's timers (until 2022)
synchronise around every forward and backward pass, so each takes the longer of its kernels and its issue: the forward
pass (and recomputation) is issued by Python modules, the backward pass by the autograd engine in C++, for a fraction of
that per op. The shares were set on a100_megatron_single_node (0.15-1.2 B) when its DeepSpeed, too, was taken to wait.

Tensor-parallel ranks wait at every collective for the slowest of their hosts, so that a pass takes the largest of as
many issue times.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from statistics import NormalDist
from typing import Final

from sim.ops import Op

PYTHON: Final = 2.2
AUTOGRAD: Final = 0.4
"""Host time of an op relative to the mean of forward and backward (`Accelerator.host_s`): not measured, but set with
the rows of a100_megatron_single_node in sight, whose validation figures are therefore in-sample."""

SPREAD: Final = 0.12
"""Standard deviation of what different processes take for the same ops, relative to the mean; set on the same rows: 2,
4 and 8 tensor-parallel ranks issue a block more slowly than one."""


def issue_s(ops: Sequence[Op], python: int, host_s: float, ranks: int = 1) -> float:
    """Seconds until the slowest of `ranks` has issued `ops`, collectives among them, the first `python` by Python."""
    return host_s * (PYTHON * python + AUTOGRAD * (len(ops) - python)) * (1.0 + SPREAD * largest(ranks))


@lru_cache
def largest(ranks: int) -> float:
    """Mean of the largest of so many standard normal draws: Φ⁻¹((N − α)/(N − 2α + 1)), α = 0.375 (Blom 1958)."""
    return NormalDist().inv_cdf((ranks - 0.375) / (ranks + 0.25))
