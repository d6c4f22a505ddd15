"""ViT and DLRM: counts, FLOPs, and how tables are split."""

from __future__ import annotations

import random
from typing import Any

import pytest

from sim.errors import InputError
from sim.files.models import preset
from sim.ops import Collective, Gather, Gemm, Lump
from sim.workload.dlrm import CRITEO_40M, Dlrm
from sim.workload.records import Layer, Numerics, Shard, TableCut
from sim.workload.tables import Tables, TableShare, parts_of_sum, table_share
from sim.workload.vit import VisionTransformer


@pytest.mark.parametrize(("name", "gmacs"), [("vit-b16", 17.58), ("vit-l16", 61.60), ("vit-h14", 167.4)])
def test_vit_forward_multiply_adds(name: str, gmacs: float) -> None:
    """Multiply-adds of one 224×224 image as torchvision's model table lists them (17.56, 61.55, 167.3)."""
    assert preset(name).flops_per_sample()[0] / 2e9 == pytest.approx(gmacs, rel=2e-3)


def test_vit_ops_add_up_to_its_flops() -> None:
    """Products of the layers sum to the closed form; the patch projection has no data gradient."""
    model = preset("vit-b16")
    layers = model.layers(2, Numerics(attention="plain"))
    gemms = [(n.count, op) for n in layers for op in (*n.forward, *n.backward) if isinstance(op, Gemm)]
    assert sum(count * op.flops for count, op in gemms) == pytest.approx(2 * model.flops_per_sample()[1], rel=1e-12)


def test_vit_refuses_a_patch_that_does_not_divide() -> None:
    """A patch must divide the image."""
    with pytest.raises(InputError, match="patch: must divide image = 224"):
        VisionTransformer(hidden=768, depth=12, heads=12, patch=15)


@pytest.mark.parametrize("name", ["dlrm", "dlrm-dcnv2"])
def test_dlrm_ops_add_up_to_its_flops(name: str) -> None:
    """Products of MLPs and interaction sum to the closed form."""
    model = preset(name)
    layers = model.layers(64, Numerics())
    products = [op for n in layers for op in (*n.forward, *n.backward) if isinstance(op, Gemm | Lump)]
    assert sum(op.count * op.flops for op in products) == pytest.approx(64 * model.flops_per_sample()[1], rel=1e-12)


def test_the_fused_interaction_reads_its_vectors_and_writes_the_pairs() -> None:
    """One kernel each way (HugeCTR's interaction_layer.cu): 27 vectors of 128 and 128 + 351 pairs of a sample, in bf16;
    back, vectors and gradients in, gradients of vectors out."""
    head = preset("dlrm").layers(64, Numerics())[-1]
    once, back = (next(op for op in ops if isinstance(op, Lump)) for ops in (head.forward, head.backward))
    vectors, pairs = 64 * 27 * 128 * 2, 64 * (128 + 27 * 26 // 2) * 2
    assert (once.bytes_read, once.bytes_written) == (vectors, pairs)
    assert (back.bytes_read, back.bytes_written) == (vectors + pairs, vectors)


def tables_of(sub_batch: int, **shard: Any) -> Layer:
    """The tables of MLPerf's model on one rank."""
    return preset("dlrm").layers(sub_batch, Numerics(), Shard(**shard))[0]


def exchanges(layer: Layer) -> list[tuple[str, float]]:
    return [(op.kind, op.bytes) for op in (*layer.forward, *layer.backward) if isinstance(op, Collective)]


def lookups(layer: Layer) -> list[tuple[int, float]]:
    return [(op.rows, op.row_bytes) for op in layer.forward if isinstance(op, Gather)]


BIG = [rows for rows in CRITEO_40M if rows > 1e6]
SMALL_100 = [rows for rows in CRITEO_40M if rows <= 100]  # 3, 63, 10, 4, 14, 36
CUT_100 = len(CRITEO_40M) - len(SMALL_100)


def test_rows_of_tables_are_dealt_to_eight_ranks() -> None:
    """Sub-batch 100: tables of 100 rows or fewer stand everywhere (2 B of gradient a row against 2 B of vector a
    sample); the rest is dealt, an eighth each, and looked up by its owner; vectors cross forward and backward."""
    layer = tables_of(100, expert=8)
    cut, small = layer.parameters
    whole = sum(CRITEO_40M) - sum(SMALL_100)
    assert cut.elements == -(-whole // 8) * 128
    assert (cut.reduce_axis, small.reduce_axis) == ("expert", "data")
    assert small.elements == sum(SMALL_100) * 128
    # rows of a table over 8 ranks: ceil or floor of rows/8, so the busiest has at most 8·Σ ceil(r/8)/r of a sample's
    served = next(op for op in layer.forward if isinstance(op, Gather)).rows
    assert 100 * CUT_100 <= served <= 100 * sum(8 * -(-rows // 8) / rows for rows in CRITEO_40M if rows > 100)
    (kind, nbytes), back = exchanges(layer)
    assert (kind, nbytes) == back
    assert nbytes == pytest.approx(served * 128 * 2.0, rel=1e-3)


def test_columns_are_even_and_short() -> None:
    """An eighth of every row on each rank: each looks up all rows of all eight sub-batches, 64 B of 512."""
    layer = tables_of(100, expert=8, table_cut=TableCut.COLUMNS, replicated_rows=0)
    assert layer.parameters[0].elements == sum(CRITEO_40M) * 128 / 8
    assert lookups(layer) == [(8 * 26 * 100, 64.0)]
    assert exchanges(layer) == [("all_to_all", 100 * 26 * 128 * 2.0)] * 2


def test_whole_tables_leave_ranks_uneven() -> None:
    """Six tables of 25 to 40 M rows on eight ranks: the fullest holds the largest, and no rank a second one of them."""
    layer = tables_of(100, expert=8, table_cut=TableCut.TABLES, replicated_rows=0)
    held = layer.parameters[0].elements / 128
    assert max(CRITEO_40M) <= held < max(CRITEO_40M) + sorted(BIG)[0] + 1e6
    assert lookups(layer)[0][0] > 26 * 100  # busier than the mean


def test_equal_tables_on_as_many_ranks() -> None:
    """Four equal tables on four ranks, one each: nothing is uneven."""
    share = table_share(Tables((1000,) * 4, (2,) * 4), 64, 4, TableCut.TABLES)
    assert share == TableShare(1000.0, 8.0, 4.0, 64)


def test_a_sum_over_ranks_arrives_in_parts() -> None:
    """Of p rows on E ranks E·(1 − (1 − 1/E)^p) have one: 1 of 1, 1.5 of two rows on two ranks, nearly E of many."""
    assert parts_of_sum(1, 8) == pytest.approx(1.0)
    assert parts_of_sum(2, 2) == pytest.approx(1.5)
    assert parts_of_sum(1000, 8) == pytest.approx(8.0)
    rng = random.Random(1)
    drawn = [len({rng.randrange(8) for _ in range(5)}) for _ in range(20000)]
    assert parts_of_sum(5, 8) == pytest.approx(sum(drawn) / len(drawn), rel=0.01)


def test_a_table_shorter_than_the_group_burdens_its_owners() -> None:
    """Three rows on eight ranks: an owner answers a third of eight sub-batches, not an eighth."""
    share = table_share(Tables((3,), (1,)), 16, 8, TableCut.ROWS)
    assert share == TableShare(1.0, pytest.approx(8 / 3), pytest.approx(8 / 3), 16)


def test_dlrm_refuses_what_cannot_be() -> None:
    """A bottom MLP of another width, an empty table, tensor parallelism."""
    with pytest.raises(InputError, match="bottom: must end in width = 64"):
        Dlrm(tables=(10,), width=64)
    with pytest.raises(InputError, match="tables"):
        Dlrm(tables=(0,))
    with pytest.raises(InputError, match="tensor"):
        Dlrm(tables=(10,)).layers(1, Numerics(), Shard(tensor=2))
    with pytest.raises(InputError, match="must divide the 128 elements of a row"):
        tables_of(1, expert=3, table_cut=TableCut.COLUMNS)
