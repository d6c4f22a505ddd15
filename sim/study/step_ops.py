"""Every op that one step runs, with how often: what the op report prices."""

from __future__ import annotations

from collections.abc import Iterator

from sim.device.table import Executed
from sim.plan.pricing import shard_of
from sim.plan.records import Plan
from sim.workload.records import Model, Numerics
from sim.workload.update import parameter_update


def step_ops(model: Model, plan: Plan, numerics: Numerics) -> Iterator[Executed]:
    """Ops of all blocks of the model for all micro-batches, then the update, as one tensor-parallel rank runs them.

    A pipeline stage runs its own blocks of these only; fully sharded ranks update 1/data of the weights.
    """
    passes = float(plan.micro_batches)
    for layer in model.layers(plan.sub_batch, numerics, shard_of(plan)):
        times = passes * layer.count
        again = layer.recompute.get(plan.recompute, ())
        for part, ops in (("forward", layer.forward), ("recompute", again), ("backward", layer.backward)):
            for op in ops:
                yield Executed(f"{layer.name}.{part}", op, times)
        if not layer.updated:
            for parameter in layer.parameters:
                for op in parameter_update(parameter, numerics):
                    yield Executed(f"{layer.name}.update", op, float(layer.count))
