"""Terms of a step that one wrong line would change: each against arithmetic."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tiny import CHIP, NUMERICS, cluster, model

from sim.device.records import MemoryTier
from sim.network import Communicator, Group
from sim.ops import Collective
from sim.plan import Plan, StepRecord, device_memory, infeasible, prepare
from sim.plan.framework import Framework
from sim.plan.gradients import Exchange
from sim.plan.groups import groups_of
from sim.plan.issue import AUTOGRAD, PYTHON
from sim.plan.pricing import Pricer
from sim.plan.tiers import HOST, moved_s
from sim.workload.records import Shard

WEIGHT, GRADIENT = 2, 4  # bytes


def recorded(plan: Plan, chip=CHIP, numerics=NUMERICS, **link: float) -> StepRecord:
    return prepare(model(), plan, numerics, chip, Communicator(cluster(plan.devices, **link)))


def test_an_optimiser_on_the_host_moves_gradients_down_and_weights_up() -> None:
    """(4 + 2) bytes of every weight the device updates, once a step, over 25 GB/s."""
    stage = recorded(Plan(2, 64, data=8, sharding="optimizer", offload="optimizer")).stages[0]
    assert stage.offload_s == pytest.approx(model().parameters / 8 * (GRADIENT + WEIGHT) / HOST.bandwidth)
    assert recorded(Plan(2, 64, data=8)).stages[0].offload_s == 0.0


TIERS = (MemoryTier("host", 50e9, 10e9), MemoryTier("cxl", 5e9, 30e9))


@pytest.mark.parametrize(
    ("held", "seconds"),
    [
        (8e9, 1e9 / 50e9),  # all of it in the host
        (20e9, 0.5e9 / 50e9 + 0.5e9 / 5e9),  # half of it behind the switch
        (0.0, 1e9 / 50e9),  # passes through
    ],
)
def test_what_is_offloaded_fills_the_nearest_memory_first(held: float, seconds: float) -> None:
    """A gigabyte moved evenly over what is held: 10 GB at 50 GB/s, the rest at 5 GB/s."""
    assert moved_s(1e9, held, TIERS) == pytest.approx(seconds)


def test_more_than_the_tiers_hold_does_not_fit() -> None:
    """Two moments and a master copy of 4 B each over 8 ranks; a tier of half of that refuses them, and says so."""
    chip = replace(CHIP, memory=replace(CHIP.memory, tiers=TIERS))
    plan, big = Plan(1, 64, data=8, sharding="optimizer", offload="optimizer"), model(8)
    (one,) = device_memory(big, plan, NUMERICS, chip)
    assert one.offloaded_bytes == pytest.approx(big.parameters / 8 * 12)
    assert one.fits
    small = replace(chip, memory=replace(chip.memory, tiers=(MemoryTier("host", 50e9, one.offloaded_bytes / 2),)))
    (full,) = device_memory(big, plan, NUMERICS, small)
    assert not full.fits
    reason = infeasible(big, plan, NUMERICS, small)
    assert (reason.need_bytes, reason.have_bytes) == (full.offloaded_bytes, one.offloaded_bytes / 2)
    assert "tiers of memory beside it" in reason.statement


def test_tensor_ranks_send_a_part_each_and_gather_it_inside_the_node() -> None:
    """8 tensor ranks on a node of 100 GB/s, stages on nodes joined by one card of 10 GB/s each: 8 parts of n/8 over the
    card and a gather inside beat 8 whole ones; with sequence parallelism every rank holds its own part already."""
    nbytes = 4 * 512 * 1024 * 2.0
    plan = Plan(4, 32, tensor=8, pipeline=2)
    record = recorded(plan)
    communicator = Communicator(cluster(16))
    gather = communicator.time("all_gather", nbytes, Group(8))
    assert record.send is not None
    assert record.send.bytes == nbytes
    assert record.send_s == pytest.approx(nbytes / 10e9 + gather, rel=1e-3)
    assert record.send_s < 8 * nbytes / 10e9 / 2
    split = recorded(replace(plan, sequence_parallel=True))
    assert split.send is not None
    assert split.send.bytes == nbytes / 8


def test_the_last_bucket_leaves_after_the_last_block() -> None:
    """Buckets hold all gradients; what is left when backward ends goes then, with nothing to hide it."""
    chunk, unfilled = (
        recorded(Plan(1, 64, data=8, framework=Framework(bucket_bytes=size))).stages[0].chunks[0]
        for size in (40e6, 1e12)
    )
    blocks = sum(block.count for block in chunk.blocks)
    assert [t.place for t in unfilled.reductions] == [blocks]
    assert sum(t.bytes for t in chunk.reductions) == pytest.approx(GRADIENT * model().parameters)
    assert chunk.reductions[-1].place == blocks
    assert all(t.bytes >= 40e6 for t in chunk.reductions[:-1])


def test_the_wait_between_steps_follows_the_update() -> None:
    """2.4 ms of host between steps are 2.4 ms of every step, whatever the update takes, and no kernel's."""
    without, gap = (recorded(Plan(1, 64, data=8, framework=Framework(gap_s=s))).stages[0].update for s in (0.0, 2.4e-3))
    assert gap.seconds - without.seconds == pytest.approx(2.4e-3)
    assert gap.overhead_s - without.overhead_s == pytest.approx(2.4e-3)
    assert gap.memory_bound_s == without.memory_bound_s


def test_a_pass_that_is_waited_for_takes_at_least_its_issue() -> None:
    """The host issues forward ops at 2.4 and backward ops at 0.4 of its mean time, collectives among them."""
    slow = replace(CHIP, host_s=1e-3)
    for name in ("forward", "backward"):
        stage = recorded(Plan(1, 8), slow, replace(NUMERICS, launch="waited")).stages[0]
        block = next(b for b in stage.chunks[0].blocks if b.kind == "block")
        work, share = getattr(block, name), PYTHON if name == "forward" else AUTOGRAD
        assert work.seconds == pytest.approx(share * 1e-3 * len(work.ops))


def test_a_stage_keeps_room_for_a_message_each_way() -> None:
    """Two buffers of a micro-batch's activations beside a pipeline without data parallelism; none without one."""
    deep, flat = (
        device_memory(model(), Plan(2, 16, pipeline=p), NUMERICS, CHIP)[0].bytes_by_kind["communication"]
        for p in (2, 1)
    )
    assert deep == pytest.approx(2 * 2 * 512 * 1024 * 2.0)
    assert flat == 0.0


def test_shards_of_a_group_are_summed_over_its_copies() -> None:
    """16 ranks in groups of 8: the whole is scattered in the group, an eighth of it summed over two copies; each rank
    sends 7/8 of the whole and 2·1/2 of an eighth."""
    plan = Plan(1, 64, data=16, sharding="optimizer", shard_group=8)
    communicator = Communicator(cluster(16))
    exchange = Exchange(plan, groups_of(plan), Pricer(model(), NUMERICS, CHIP, communicator))
    reduction = exchange.reduction(1e9)
    alone = communicator.time("reduce_scatter", 1e9, Group(8))
    copies = communicator.time("all_reduce", 1e9 / 8, Group(2, 8))
    assert reduction.seconds == pytest.approx(alone + copies)
    assert reduction.sent_bytes == pytest.approx(1e9 * 7 / 8 + 1e9 / 8)


def test_a_collective_beside_kernels_makes_them_longer() -> None:
    """One that takes a fifth of the compute units and a tenth of the memory's bandwidth: arithmetic takes 1/(1 − 1/5)
    as long, what memory bounds 1/(1 − 1/10), overheads no longer."""
    free = recorded(Plan(1, 64, data=8))
    taking = recorded(Plan(1, 64, data=8), compute_share=0.2, memory_share=0.1)
    block = next(b for b in taking.stages[0].chunks[0].blocks if b.kind == "block")
    work = block.forward
    arithmetic = work.seconds - work.memory_bound_s - work.overhead_s
    assert not any(isinstance(op, Collective) for op in work.ops)
    assert work.stretch == pytest.approx((arithmetic / 0.8 + work.memory_bound_s / 0.9) / work.seconds)
    assert work.memory_bound_s > 0.0
    assert work.stretch > 1.0
    assert all(b.forward.stretch == 1.0 for b in free.stages[0].chunks[0].blocks)


def test_clipping_sums_one_number_over_all_ranks() -> None:
    """Momentum over tensor ranks: no norm unless gradients are clipped, then 4 bytes and two passes over them."""
    momentum = replace(NUMERICS, optimizer="momentum")
    plain, clipped = (recorded(Plan(1, 8, data=4, tensor=2), numerics=replace(momentum, clip=c)) for c in (False, True))
    assert plain.norm is None
    assert clipped.norm is not None
    assert (clipped.norm.axis, clipped.norm.bytes) == ("norm", 4.0)
    extra = clipped.stages[0].update.dram_bytes - plain.stages[0].update.dram_bytes
    held = sum(layer.count * layer.parameter_elements for layer in model().layers(1, momentum, Shard(tensor=2)))
    assert extra == pytest.approx(3 * GRADIENT * held)
