"""Groups of ranks and stages of layers."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny import NUMERICS, model

from sim.errors import InputError
from sim.network import Group
from sim.plan import Plan, groups_of
from sim.plan.layout import assign, stage_counts


def test_ranks_are_numbered_from_the_innermost_axis() -> None:
    """tensor, context, data, pipeline: strides 1, 2, 4, 32."""
    groups = groups_of(Plan(1, 64, data=8, tensor=2, context=2, pipeline=4))
    assert groups.tensor == Group(2, 1)
    assert groups.context == Group(2, 2)
    assert groups.data == Group(16, 2)  # gradients are summed over context ranks too
    assert groups.pipeline == Group(4, 32)


def test_the_order_of_axes_is_free() -> None:
    """Data innermost: tensor ranks lie far apart."""
    groups = groups_of(Plan(1, 64, data=8, tensor=4, order=("data", "tensor", "pipeline", "context")))
    assert (groups.data, groups.tensor) == (Group(8, 1), Group(4, 8))


def test_sharding_groups_and_experts_cut_the_data_ranks() -> None:
    """Shards over 4 neighbours, 16/4 copies joined across; 8 experts' ranks, 2 hold the same ones."""
    groups = groups_of(Plan(1, 64, data=16, shard_group=4, expert=8, tensor=2))
    assert (groups.shard, groups.replicas) == (Group(4, 2), Group(4, 8))
    assert (groups.expert, groups.expert_data) == (Group(8, 2), Group(2, 16))


def test_an_unknown_order_is_refused() -> None:
    """Every axis once."""
    with pytest.raises(InputError, match="each of"):
        groups_of(Plan(1, 1, order=("tensor", "data")))


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 40), st.integers(1, 8), st.integers(1, 4))
def test_every_block_is_placed_once(depth: int, pipeline: int, chunks: int) -> None:
    """Even stages differ by at most one block; embedding comes first, head last."""
    if pipeline * chunks > depth:
        return
    plan = Plan(1, 8, pipeline=pipeline, virtual_stages=chunks)
    counts = stage_counts(depth, plan)
    assert sum(counts) == depth
    assert max(counts) - min(counts) <= 1
    parts = assign(model(depth).layers(1, NUMERICS), plan)
    placed = [(part.layer.kind, part.count) for chunk in range(chunks) for s in parts for part in s[chunk]]
    assert placed[0][0] == "embedding"
    assert placed[-1][0] == "head"
    assert sum(n for kind, n in placed if kind == "block") == depth


def test_embedding_and_head_may_count_as_blocks() -> None:
    """BLOOM: 70 blocks + embedding + head are 72 over 12 stages of 6 (the paper's balance)."""
    plan = Plan(1, 12, pipeline=12, stage_layers=(6,) * 12)
    assert stage_counts(70, plan) == (5, *(6,) * 10, 5)


def test_uneven_stages_are_kept_and_wrong_ones_refused() -> None:
    """Numbers must add up to the blocks."""
    assert stage_counts(8, Plan(1, 1, pipeline=2, stage_layers=(3, 5))) == (3, 5)
    with pytest.raises(InputError, match="add up to 8"):
        stage_counts(8, Plan(1, 1, pipeline=2, stage_layers=(3, 4)))
