"""Pricing a plan: bytes moved by every kind of sharding, stages, and agreement of closed form and engine."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tiny import CHIP, NUMERICS, cluster, model

from sim.network import Communicator
from sim.plan import Plan, StepRecord, prepare
from sim.plan.candidates import candidates
from sim.plan.framework import Framework
from sim.workload.recurrent import LstmLM

WEIGHTS, GRADIENTS = 2, 4  # bytes per parameter


def _prepared(plan: Plan, depth: int = 8, **link: float) -> StepRecord:
    return prepare(model(depth), plan, NUMERICS, CHIP, Communicator(cluster(plan.devices, **link)))


def _moved(prepared: StepRecord) -> tuple[float, float]:
    """(bytes gathered, bytes reduced) of one device and pass, as buffers of one rank."""
    chunks = [chunk for stage in prepared.stages for chunk in stage.chunks]
    blocks = [block for chunk in chunks for block in chunk.blocks]
    gathered = sum(g.bytes for c in chunks for g in c.gathers)
    gathered += sum((2 if b.regather else 1) * b.gather.bytes * b.count for b in blocks if b.gather)
    reduced = sum(r.bytes for c in chunks for r in c.reductions)
    reduced += sum(b.reduce.bytes * b.count for b in blocks if b.reduce)
    return gathered, reduced


@pytest.mark.parametrize("overlap", [True, False])
def test_sharding_moves_what_the_papers_say(overlap: bool) -> None:
    """All-reduce of the gradients; sharded: reduce-scatter of them and gather of the weights; fully sharded: the
    weights of blocks gathered once more for backward (Rajbhandari et al. 2020, §7)."""
    n = model().parameters
    layers = model().layers(1, NUMERICS)
    block = sum(layer.parameter_elements * layer.count for layer in layers if layer.kind == "block")
    plan = Plan(1, 64, data=8, framework=Framework(overlap_gradients=overlap, overlap_gathers=overlap))
    for sharding, gathers in (("none", 0.0), ("optimizer", n), ("gradients", n), ("full", n + block)):
        gathered, reduced = _moved(_prepared(replace(plan, sharding=sharding)))  # type: ignore[arg-type]
        assert reduced == pytest.approx(GRADIENTS * n, rel=1e-9)
        assert gathered == pytest.approx(WEIGHTS * gathers, rel=1e-9)


def test_the_wire_format_of_gradients_is_the_plans() -> None:
    """bf16 on the wire: half the bytes of fp32."""
    plan = Plan(1, 64, data=8)
    _, wide = _moved(_prepared(plan))
    _, narrow = _moved(_prepared(replace(plan, framework=Framework(communication_format="bf16"))))
    assert narrow == pytest.approx(wide / 2)


def test_sharding_groups_keep_gathers_inside_the_node() -> None:
    """16 ranks on two nodes: groups of 8 gather over the fast links only, and join their shards across nodes."""
    plan = Plan(
        1, 64, data=16, sharding="optimizer", framework=Framework(overlap_gathers=False, overlap_gradients=False)
    )
    everywhere, inside = (_prepared(p) for p in (plan, replace(plan, shard_group=8)))
    slow, fast = (sum(g.seconds for c in p.stages[0].chunks for g in c.gathers) for p in (everywhere, inside))
    assert slow > 5 * fast


def test_gradient_buckets_close_where_they_fill() -> None:
    """Smaller buckets, more messages, the same bytes; none leaves before its block has run."""
    plan = Plan(1, 64, data=8)
    small, large = (_prepared(replace(plan, framework=Framework(bucket_bytes=b))) for b in (1.0, 1e12))
    assert len(small.stages[0].chunks[0].reductions) == 10  # head, 8 blocks, embedding
    assert len(large.stages[0].chunks[0].reductions) == 1
    places = [r.place for r in small.stages[0].chunks[0].reductions]
    assert places == sorted(places)


def test_sparse_embedding_gradients_grow_with_the_ranks() -> None:
    """Rows of all ranks are gathered: N times those of one (PPoPP 2019, figure 12)."""
    lstm = LstmLM(hidden=256, recurrent_layers=1, vocabulary=5000, unroll=10)
    numerics = replace(NUMERICS, optimizer="sgd", master=None)
    rows = []
    for ranks in (4, 8):
        plan = Plan(8, 8 * ranks, data=ranks, sparse_embeddings=True, framework=Framework(overlap_gradients=False))
        prepared = prepare(lstm, plan, numerics, CHIP, Communicator(cluster(ranks)))
        rows += [r.bytes for c in prepared.stages[0].chunks for r in c.reductions if r.name == "embedding rows"]
    assert rows == [4 * 80 * 256 * 4, 8 * 80 * 256 * 4]


@pytest.mark.parametrize("duplicates", [False, True])
def test_no_more_rows_than_the_table_has_are_exchanged(duplicates: bool) -> None:
    """8 ranks of 80 rows each draw from a table of 100: 100 rows, or 640 where duplicates stay."""
    lstm = LstmLM(hidden=256, recurrent_layers=1, vocabulary=100, unroll=10)
    numerics = replace(NUMERICS, optimizer="sgd", master=None)
    plan = Plan(8, 64, data=8, sparse_embeddings=True, framework=Framework(duplicate_rows=duplicates))
    stage = prepare(lstm, plan, numerics, CHIP, Communicator(cluster(8))).stages[0]
    rows = [t for t in stage.chunks[0].reductions if t.name == "embedding rows"]
    assert [t.bytes for t in rows] == [(640 if duplicates else 100) * 256 * 4]


def test_a_published_compute_time_replaces_the_device_model() -> None:
    """17 s per worker, split over stages by FLOPs."""
    plan = Plan(1, 4, pipeline=4)
    prepared = prepare(model(), plan, NUMERICS, CHIP, Communicator(cluster(4)), compute_s=17.0)
    assert sum(stage.pass_s for stage in prepared.stages) * 4 == pytest.approx(17.0)


def test_the_head_makes_the_last_stage_the_slowest() -> None:
    """The vocabulary product belongs to the last stage."""
    passes = [stage.pass_s for stage in _prepared(Plan(1, 8, pipeline=4)).stages]
    assert max(passes) == passes[-1] > 1.2 * passes[1]


def test_recomputation_costs_a_forward_pass() -> None:
    """Backward with full recomputation takes one forward pass of the blocks more."""
    plain, again = (_prepared(Plan(1, 8, recompute=r)).stages[0].chunks[0] for r in ("none", "full"))  # type: ignore[arg-type]
    blocks = sum(b.forward.seconds * b.count for b in plain.blocks if b.kind == "block")
    assert again.backward_s - plain.backward_s == pytest.approx(blocks, rel=0.1)


def test_candidates_are_consistent_plans() -> None:
    """Every plan uses all devices and divides the batch; no plan twice."""
    plans = list(candidates(model(), 16, 64))
    assert len(set(plans)) == len(plans) > 100
    assert all(p.devices == 16 and p.global_batch % (p.sub_batch * p.data) == 0 for p in plans)


def test_a_graph_takes_the_host_out_of_the_way() -> None:
    """Launched as a graph a step takes what it takes on a chip whose host issues ops in no time."""
    slow = replace(CHIP, host_s=1e-3)
    plan = Plan(1, 8, data=8)
    steps = {}
    for name, chip, launch in (("none", CHIP, "eager"), ("graph", slow, "graph"), ("eager", slow, "eager")):
        numerics = replace(NUMERICS, launch=launch)
        steps[name] = prepare(model(), plan, numerics, chip, Communicator(cluster(8))).stages[0].pass_s
    assert steps["graph"] == steps["none"]
    assert steps["eager"] > 10 * steps["graph"]
