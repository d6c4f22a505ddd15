"""Host time of passes the framework waits for: Python forward, the autograd engine back."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tiny import CHIP, NUMERICS, cluster, model

from sim.network import Communicator
from sim.ops import Pointwise
from sim.plan import Plan, prepare
from sim.plan.issue import AUTOGRAD, PYTHON, SPREAD, issue_s, largest

OPS = [Pointwise(f"op {k}", 1.0, 4.0, 4.0) for k in range(10)]


def test_python_issues_more_slowly_than_the_autograd_engine() -> None:
    """Ten ops of 50 us, four of them Python's."""
    assert issue_s(OPS, 4, 50e-6) == pytest.approx(50e-6 * (4 * PYTHON + 6 * AUTOGRAD))
    assert PYTHON > 1 > AUTOGRAD


def test_a_waited_pass_takes_the_longer_of_kernels_and_issue() -> None:
    """A chip without host time is as fast either way; with a slow host the forward pass is bound by it alone."""

    def block(launch: str, host_s: float) -> tuple[float, float]:
        chip = replace(CHIP, host_s=host_s)
        numerics = replace(NUMERICS, launch=launch)  # type: ignore[arg-type]
        prepared = prepare(model(), Plan(1, 1), numerics, chip, Communicator(cluster(1)))
        found = next(b for b in prepared.stages[0].chunks[0].blocks if b.kind == "block")
        return found.forward.seconds, found.backward.seconds

    assert block("waited", 0.0) == pytest.approx(block("graph", 1.0))
    layer = next(layer for layer in model().layers(1, NUMERICS) if layer.kind == "block")
    forward, backward = block("waited", 1.0)
    assert forward == pytest.approx(PYTHON * len(layer.forward))
    assert backward == pytest.approx(AUTOGRAD * len(layer.backward))


def test_a_host_that_waits_for_every_kernel_hides_none_of_its_own_time() -> None:
    """CUDA_LAUNCH_BLOCKING=1: kernels and issue one after the other, so that a pass takes their sum."""

    def block(launch: str, host_s: float) -> tuple[float, float]:
        numerics = replace(NUMERICS, launch=launch)  # type: ignore[arg-type]
        chip = replace(CHIP, host_s=host_s)
        prepared = prepare(model(), Plan(1, 1), numerics, chip, Communicator(cluster(1)))
        found = next(b for b in prepared.stages[0].chunks[0].blocks if b.kind == "block")
        return found.forward.seconds, found.backward.seconds

    layer = next(layer for layer in model().layers(1, NUMERICS) if layer.kind == "block")
    kernels, host_s = block("graph", 0.0), 20e-6
    forward, backward = block("blocked", host_s)
    assert forward == pytest.approx(kernels[0] + host_s * PYTHON * len(layer.forward))
    assert backward == pytest.approx(kernels[1] + host_s * AUTOGRAD * len(layer.backward))


def test_tensor_ranks_wait_for_the_slowest_host() -> None:
    """One rank has its own time; of eight the largest of eight normal draws, 1.42 standard deviations on average
    (Tippett 1925: 1.4236; Blom's formula errs by under 1 %)."""
    alone = issue_s(OPS, 4, 50e-6)
    assert largest(1) == 0.0
    assert largest(8) == pytest.approx(1.4236, rel=0.01)
    assert issue_s(OPS, 4, 50e-6, ranks=8) == pytest.approx(alone * (1.0 + SPREAD * 1.4236), rel=0.002)
