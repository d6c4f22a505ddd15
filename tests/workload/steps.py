"""The ops of a step for tests, read from its record, and their sums."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace

from sim.files.hardware import load_accelerator
from sim.ops import Op, total_bytes, total_flops
from sim.plan.prepare import single_device
from sim.workload.expand import PLAIN_FP32, GraphModel
from sim.workload.liveness import Footprint, peak
from sim.workload.records import Model, Numerics

CLIPPED = replace(PLAIN_FP32, clip=True)


def step_ops(model: Model, batch: int, numerics: Numerics = PLAIN_FP32) -> tuple[Op, ...]:
    """Every op of a step on one device, as often as it runs."""
    record = single_device(model, batch, numerics, load_accelerator("a100-sxm4-80gb"))
    return tuple(replace(found.op, count=round(found.op.count * found.times)) for found in record.executed())


def by_type(ops: Iterable[Op]) -> dict[str, tuple[float, float]]:
    """FLOPs and bytes of every op type."""
    kinds: dict[str, list[Op]] = defaultdict(list)
    for op in ops:
        kinds[type(op).__name__].append(op)
    return {kind: (total_flops(ops), total_bytes(ops)) for kind, ops in kinds.items()}


def layer_footprints(model: GraphModel, batch: int, numerics: Numerics = PLAIN_FP32) -> dict[str, Footprint]:
    """Bytes at the fullest moment of every layer when each has a device of its own."""
    graph = model.graph(batch, numerics)
    return {
        name: peak(
            replace(
                graph,
                forward=tuple(s for s in graph.forward if s.layer == name),
                backward=tuple(s for s in graph.backward if s.layer == name),
                weights={name: graph.weights.get(name, ())},
                gradients={name: graph.gradients.get(name, ())},
            ),
            numerics,
            reuse=True,
        )
        for name, _ in graph.layers
    }
