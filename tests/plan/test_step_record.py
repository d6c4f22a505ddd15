"""The step record: one list, which everything that speaks of a step adds up to."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tiny import CHIP, NUMERICS, cluster, model

from sim.device import time_ops
from sim.device.energy import default_power, executed_flops
from sim.network import Communicator
from sim.ops import Collective, Pointwise
from sim.plan import Plan, StepRecord, prepare
from sim.plan.energy import step_energy
from sim.plan.framework import Framework
from sim.workload.first_order import TABLE_2
from sim.workload.records import Numerics

POWERED = replace(CHIP, power=default_power(400.0, CHIP.compute))


def recorded(plan: Plan, numerics: Numerics = NUMERICS) -> StepRecord:
    return prepare(model(), plan, numerics, POWERED, Communicator(cluster(plan.devices)))


@pytest.mark.parametrize(
    "plan",
    [
        Plan(2, 8),
        Plan(1, 8, recompute="full", recompute_layers=3),
        Plan(1, 16, pipeline=2, recompute="selective"),
        Plan(1, 16, data=2, tensor=2, sharding="full", framework=Framework(gradient_passes=2)),
    ],
)
def test_the_ops_listed_are_the_ops_timed(plan: Plan) -> None:
    """Kernels of all passes and the update: seconds, FLOPs and bytes of the list are those of the works."""
    record = recorded(plan)
    ops = [(item.op, item.times) for item in record.executed() if not isinstance(item.op, Collective)]
    listed = sum(time_ops((op,), POWERED).seconds * times for op, times in ops)
    m = record.micro_batches
    works = [(w, b.count * m) for stage in record.stages for b, w in stage.passes()]
    works += [(stage.update, 1) for stage in record.stages]
    assert listed == pytest.approx(sum((w.seconds - w.communication_s) * n for w, n in works))
    flops = sum(executed_flops(op) * op.count * times for op, times in ops if op.name != "adam update")
    assert flops == pytest.approx(record.executed_flops / record.stages[0].devices)


def test_the_update_is_listed_once() -> None:
    """Adam reads gradient, two moments and the master copy, and writes all but the gradient and the copy products
    read: 4 + 8 + 4 + 8 + 4 + 2 = 30 bytes a weight."""
    updates = [item.op for item in recorded(Plan(2, 8)).executed() if item.part == "update"]
    assert len(updates) == 1
    assert isinstance(updates[0], Pointwise)
    assert updates[0].reads + updates[0].writes == pytest.approx(30 * model().parameters)


def test_a_first_order_law_holds_its_update_already() -> None:
    """Hestness et al. 2019, table 2: the bytes of a step include the update, so that nothing is added to the law."""
    law = replace(TABLE_2["word-lm"], parameters=1e9)
    plain = replace(NUMERICS, compute="fp32", weights="fp32", gradients="fp32", master=None, optimizer="sgd")
    record = prepare(law, Plan(64, 64), plain, CHIP, Communicator(cluster(1)))
    moved = sum((i.op.bytes_read + i.op.bytes_written) * i.op.count * i.times for i in record.executed())
    assert moved == pytest.approx(law.bytes(64))
    assert record.stages[0].update.seconds == 0.0


def test_energy_is_that_of_the_ops_listed_and_idle_power_of_every_device() -> None:
    """J/FLOP · FLOPs + J/byte · bytes over every op of every device, and idle power · time · devices."""
    plan = Plan(1, 32, data=2, tensor=2, pipeline=2, recompute="full", recompute_layers=2)
    record, power = recorded(plan), POWERED.power
    assert power is not None
    spent = step_energy(record, POWERED, 2.0, 10.0)
    each = [(i.op, i.op.count * i.times) for i in record.executed() if not isinstance(i.op, Collective)]
    per_stage = plan.devices / plan.pipeline
    arithmetic = sum(executed_flops(op) * n * power.flop_j[op.format] for op, n in each) * per_stage
    assert spent.by_kind["arithmetic"] == pytest.approx(arithmetic)
    memory = sum(time_ops((op,), POWERED).dram_bytes / op.count * n for op, n in each) * power.dram_byte_j * per_stage
    assert spent.by_kind["memory"] == pytest.approx(memory)
    assert spent.by_kind["idle"] == pytest.approx(power.idle_w * 2.0 * 8)
    assert spent.mean_device_w == pytest.approx(spent.step_j / 2.0 / 8)
    assert spent.target_j == pytest.approx(10 * spent.step_j)


def test_only_so_many_blocks_recompute() -> None:
    """`recompute_layers: 3` of 8 blocks: three forward passes more FLOPs, in time and energy alike."""
    none, three, all_ = (recorded(Plan(1, 8, recompute="full", recompute_layers=n)) for n in (0, 3, 8))
    more = [r.executed_flops - none.executed_flops for r in (three, all_)]
    again = [step_energy(r, POWERED, 1.0, None).by_kind["arithmetic"] for r in (none, three, all_)]
    assert more[0] > 0.0
    blocks = [next(b for b in r.stages[0].chunks[0].blocks if b.kind == "block") for r in (none, all_)]
    one = blocks[1].backward.executed_flops - blocks[0].backward.executed_flops
    assert more[1] - more[0] == pytest.approx(5 * one * 8)
    assert again[0] < again[1] < again[2]
