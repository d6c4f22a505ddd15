"""Updated parameters broadcast by the ranks that own them (ZeRO-1 over whole tensors)."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tiny import CHIP, NUMERICS, cluster, model

from sim.network import Communicator
from sim.plan import Plan, prepare
from sim.plan.framework import Framework
from sim.plan.gradients import CHUNK_BYTES, Exchange
from sim.plan.groups import groups_of
from sim.plan.pricing import Pricer

OWNED = Plan(1, 64, data=16, sharding="optimizer", framework=Framework(gather="broadcast", overlap_gathers=False))


def _exchange(plan: Plan) -> Exchange:
    return Exchange(plan, groups_of(plan), Pricer(model(), NUMERICS, CHIP, Communicator(cluster(plan.devices))))


def test_there_are_no_more_broadcasts_than_tensors() -> None:
    """16 ranks, 4 tensors: four broadcasts of a quarter each cost less than sixteen."""
    exchange = _exchange(OWNED)
    few, many = (exchange.gather(64e6, tensors=n).seconds for n in (4, 100))
    assert few < many == exchange.gather(64e6, tensors=16).seconds


def test_a_chunk_goes_around_node_by_node() -> None:
    """Two nodes of 8 ranks at 100 GB/s with 10 GB/s out of a node: 14 hops of 4 MiB inside, one between them."""
    seconds = _exchange(OWNED).wave_s(1e9, groups_of(OWNED).shard)
    assert seconds == pytest.approx(14 * CHUNK_BYTES / 100e9 + CHUNK_BYTES / 10e9, rel=1e-6)


def test_small_tensors_are_one_chunk() -> None:
    """A tensor smaller than a chunk is passed on as a whole."""
    exchange = _exchange(OWNED)
    assert exchange.wave_s(1024.0, groups_of(OWNED).shard) == pytest.approx(
        exchange.wave_s(2048.0, groups_of(OWNED).shard) / 2
    )


def test_owners_of_whole_tensors_need_all_gradients() -> None:
    """Every rank holds the sum of all gradients (all-reduce), not of its shard (reduce-scatter)."""
    exchange = _exchange(OWNED)
    assert exchange.reduction(1e9).seconds == exchange.communicator.time("all_reduce", 1e9, groups_of(OWNED).data)


def test_groups_of_a_node_save_the_way_around_all_ranks() -> None:
    """Sharded over eight ranks of a node the gathers never leave it."""
    wide, narrow = (
        prepare(model(), p, NUMERICS, CHIP, Communicator(cluster(16))) for p in (OWNED, replace(OWNED, shard_group=8))
    )
    slow, fast = (sum(g.seconds for g in p.stages[0].chunks[0].gathers) for p in (wide, narrow))
    assert slow > 2 * fast
