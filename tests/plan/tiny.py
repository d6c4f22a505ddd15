"""A small model, chip and clusters for the tests of plans: sizes that can be followed by hand."""

from __future__ import annotations

from sim.device.records import Accelerator, Cache, Compute, Memory
from sim.network import Cluster, Level, LinkType
from sim.workload.records import Numerics
from sim.workload.transformer import Transformer

GIB = 2.0**30

CHIP = Accelerator(
    name="chip",
    status="hypothetical",
    date="2026-01",
    compute={"bf16": Compute(100e12, 1.0), "fp32": Compute(10e12, 1.0, matrix=False)},
    memory=Memory(40 * GIB, 1e12, 1.0),
    cache=Cache(0.0),
    matrix_unit=None,
    kernel_overhead_s=0.0,
)

NUMERICS = Numerics(gradients="fp32")


def model(depth: int = 8, **sizes: object) -> Transformer:
    return Transformer(
        **{"hidden": 1024, "heads": 16, "vocabulary": 32000, "sequence": 512, "depth": depth, **sizes}  # type: ignore[arg-type]
    )


def cluster(devices: int, node: int = 8, **link: float) -> Cluster:
    """Nodes of `node` devices at 100 GB/s, joined by one card of 10 GB/s each."""
    inner = LinkType("inner", 100e9, 0.0, **link)  # type: ignore[arg-type]
    outer = LinkType("outer", 10e9, 0.0, **link)  # type: ignore[arg-type]
    levels = [Level("node", "switch", (min(node, devices),), inner)]
    if devices > node:
        levels.append(Level("fabric", "switch", (devices // node,), outer, nics=1.0))
    return Cluster("test", "chip", devices, tuple(levels))
