"""ViT and DLRM: counts, FLOPs, and how tables are split."""

from __future__ import annotations

import pytest

from sim.errors import InputError
from sim.files.models import preset
from sim.ops import Collective, Gather, Gemm
from sim.workload.dlrm import Dlrm
from sim.workload.records import Numerics, Shard
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
    gemms = [op for n in layers for op in (*n.forward, *n.backward) if isinstance(op, Gemm)]
    assert sum(op.count * op.flops for op in gemms) == pytest.approx(64 * model.flops_per_sample()[1], rel=1e-12)


def test_dlrm_tables_are_split_and_exchanged() -> None:
    """Eight ranks hold an eighth of the rows each, look up as many rows, and exchange the pooled vectors twice."""
    model = preset("dlrm")
    assert isinstance(model, Dlrm)
    tables = model.layers(100, Numerics(), Shard(expert=8))[0]
    assert tables.parameters[0].elements == model.table_elements / 8
    assert tables.parameters[0].sparse_rows == 2600
    exchanges = [op for op in (*tables.forward, *tables.backward) if isinstance(op, Collective)]
    assert [(op.kind, op.bytes) for op in exchanges] == [("all_to_all", 100 * 26 * 128 * 2.0)] * 2
    lookup = next(op for op in tables.forward if isinstance(op, Gather))
    assert (lookup.rows, lookup.row_bytes) == (2600, 512.0)


def test_dlrm_refuses_what_cannot_be() -> None:
    """A bottom MLP of another width, an empty table, tensor parallelism."""
    with pytest.raises(InputError, match="bottom: must end in width = 64"):
        Dlrm(tables=(10,), width=64)
    with pytest.raises(InputError, match="tables"):
        Dlrm(tables=(0,))
    with pytest.raises(InputError, match="tensor"):
        Dlrm(tables=(10,)).layers(1, Numerics(), Shard(tensor=2))
