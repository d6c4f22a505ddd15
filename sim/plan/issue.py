"""What the host takes to issue a pass whose end the framework waits for.

Where nothing is waited for, the host runs ahead over passes and only the sum counts. Megatron-LM's timers (until 2022)
and DeepSpeed's pipeline engine synchronise around every forward and backward pass, so each takes the longer of its
kernels and its issue: the forward pass (and recomputation) is issued by Python modules, the backward pass by the
autograd engine in C++, for a fraction of that per op. Set on a100_megatron_single_node (2, 4, 8 GPUs; 0.15-1.2 B),
whose smallest micro-batches are bound by the host in the forward pass only: about 2.5 ms for the 17 ops of a block,
each a few calls of PyTorch, and less than 0.8 ms back.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from sim.ops import Op

PYTHON: Final = 2.4
AUTOGRAD: Final = 0.4
"""Host time of an op relative to the mean of forward and backward (`Accelerator.host_s`): not measured, but set with
the rows of a100_megatron_single_node in sight, whose validation figures are therefore in-sample."""


def issue_s(ops: Sequence[Op], python: int, host_s: float) -> float:
    """Seconds to issue `ops`, collectives among them, of which the first `python` are issued by Python."""
    return host_s * (PYTHON * python + AUTOGRAD * (len(ops) - python))
