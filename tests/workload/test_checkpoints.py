"""Recomputation by the set of ops whose results are kept: arithmetic of a Llama block, and sets within sets."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.errors import InputError
from sim.files.scenario import build, document_of
from sim.ops import Gemm
from sim.simulation.run import check_scenario
from sim.workload.checkpoints import checkpointed, kept_results
from sim.workload.records import Layer, Numerics, Shard
from sim.workload.transformer import Transformer

HIDDEN, FFN, TOKENS = 4096, 11008, 4 * 512
LLAMA = {
    "depth": 4, "hidden": HIDDEN, "heads": 32, "ffn": FFN, "vocabulary": 32000, "sequence": 512, "activation": "swiglu",
    "norm": "rms", "positions": "rotary", "bias": False, "tied": False,
}  # fmt: skip


def block() -> Layer:
    """A Llama block of 4 sequences in bf16."""
    return next(one for one in Transformer(**LLAMA).layers(4, Numerics()) if one.kind == "block")  # type: ignore[arg-type]


def kept(*names: str) -> tuple[float, list[str]]:
    """Kept bytes in units of one activation of the hidden size, and the names of what is run again."""
    flow = block().flow
    assert flow is not None
    nbytes, again = checkpointed(flow, names)
    return nbytes / (TOKENS * HIDDEN * 2), [op.name for op in again]


def test_saving_all_products_keeps_their_results_and_what_the_block_received() -> None:
    """x, q k v, the output projection, gate and value: 1 + 3 + 1 + 2·ffn/h; the last product feeds a sum alone. Nothing
    but pointwise ops and attention is run again."""
    size, again = kept("products")
    assert size == pytest.approx(1 + 3 + 1 + 2 * FFN / HIDDEN)
    assert "attention.core" in again
    assert not {op.name for op in block().forward if isinstance(op, Gemm)} & set(again)


def test_of_a_product_on_several_ranks_the_sum_is_kept() -> None:
    """Four tensor ranks with cut sequences hold a quarter of what one holds, and sum nothing again."""
    layers = Transformer(**LLAMA).layers(4, Numerics(), Shard(tensor=4, sequence_parallel=True))  # type: ignore[arg-type]
    flow = next(one for one in layers if one.kind == "block").flow
    assert flow is not None
    nbytes, again = checkpointed(flow, ("products",))
    assert nbytes / (TOKENS * HIDDEN * 2) == pytest.approx(kept("products")[0] / 4)
    assert not [op.name for op in again if op.name.endswith(".reduce")]


def test_attention_kept_beside_them_adds_its_output_and_one_sum_per_query() -> None:
    """h of the hidden size in bf16, and 4 bytes per query and head of 128."""
    size, again = kept("products", "attention.core")
    assert size - kept("products")[0] == pytest.approx(1 + 4 / (2 * 128))
    assert "attention.core" not in again


def test_every_second_product_is_counted_as_the_model_has_them() -> None:
    """Of q, k, v, output, gate, value and down the first, third, fifth and seventh (torchtitan's per-op policy): kept
    are q, v, gate beside what the block received; k, the output projection and the value are run again."""
    size, _ = kept("products/2")
    assert size == pytest.approx(1 + 2 + FFN / HIDDEN)
    flow = block().flow
    assert flow is not None
    widths = {op.name: op.n for op in checkpointed(flow, ("products/2",))[1] if isinstance(op, Gemm)}
    assert widths == {"attention.qkv": HIDDEN, "attention.out": HIDDEN, "mlp.up": FFN}
    assert kept("products/1") == kept("products")


@given(st.integers(1, 9), st.integers(1, 8), st.integers(1, 64), st.integers(1, 64))
def test_kept_products_and_those_run_again_are_all_of_them(stride: int, kv_heads: int, ffn: int, batch: int) -> None:
    """What of a product is kept and what is run again adds up, whatever is counted; one of n is n rounded up."""
    sizes = {**LLAMA, "heads": 8 * kv_heads, "kv_heads": kv_heads, "head_dim": 16, "ffn": ffn, "hidden": 64}
    model = Transformer(**sizes)  # type: ignore[arg-type]
    flow = next(one for one in model.layers(batch, Numerics()) if one.kind == "block").flow
    assert flow is not None
    products = [node.op for node in flow.nodes if isinstance(node.op, Gemm)]
    shares = [one.share for one in kept_results(products, (f"products/{stride}",))]
    widths = [width for op in products for width in op.parts or (op.n,)]
    assert sum(op.n * share for op, share in zip(products, shares, strict=True)) == pytest.approx(sum(widths[::stride]))
    again = {op.name: op.n for op in checkpointed(flow, (f"products/{stride}",))[1] if isinstance(op, Gemm)}
    for op, share in zip(products, shares, strict=True):
        assert again.get(op.name, 0) in (0, round(op.n * (1 - share)))


def test_a_format_is_read_beside_an_entry_that_keeps_as_much() -> None:
    """Gate and value in one byte instead of two: one ffn less, whichever is listed first."""
    whole, narrow = kept("products")[0], kept("products", "mlp.up:fp8")[0]
    assert whole - narrow == pytest.approx(FFN / HIDDEN)
    assert kept("mlp.up:fp8", "products")[0] == narrow


def test_nothing_kept_runs_all_that_backward_reads_and_everything_kept_runs_nothing() -> None:
    """The sum behind the last product, and that product, are read by nobody; all results together are what a block
    keeps without recomputation."""
    size, again = kept()
    assert size == pytest.approx(1)
    assert again == [op.name for op in block().forward][:-2]
    assert kept("*") == (pytest.approx(block().saved("none") / (TOKENS * HIDDEN * 2)), [])


def test_more_kept_is_never_more_run() -> None:
    """Sets within sets."""
    grown = [kept(*names) for names in ((), ("mlp.*",), ("mlp.*", "attention.qkv"), ("mlp.*", "attention.*"))]
    assert [len(again) for _, again in grown] == sorted((len(again) for _, again in grown), reverse=True)
    assert [size for size, _ in grown] == sorted(size for size, _ in grown)


@pytest.mark.parametrize(
    ("plan", "message"),
    [
        ({"recompute": "full", "saved_ops": ["mlp.upp"]}, r'no block of the model has such an op.*"mlp.up"'),
        ({"recompute": "full", "saved_ops": ["products/0"]}, "no block of the model has such an op"),
        ({"saved_ops": ["mlp.up"]}, "are what recomputation keeps"),
        ({"recompute": "full", "saved_ops": ["mlp.up", "mlp.up"]}, "is listed twice.*mlp.up"),
        ({"recompute": "full", "offload": "saved_ops"}, "needs saved_ops"),
    ],
)
def test_what_is_refused(plan: dict[str, object], message: str) -> None:
    """An op the model does not have, with the nearest; ops kept of nothing."""
    values = {
        "workload": {"family": "transformer", "sizes": LLAMA},
        "cluster": {"extends": "dgx-a100", "devices": 1},
        "target": {"steps": 1},
        "plan": {"sub_batch": 1, **plan},
    }
    with pytest.raises(InputError, match=message) as caught:
        check_scenario(build(document_of(values, "test")))
    assert all(problem.path.startswith("plan") or problem.path == "offload" for problem in caught.value.problems)


def test_collectives_of_tensor_ranks_are_kept_where_there_are_any() -> None:
    """torchtitan's policy names the reductions of tensor ranks; one device has none."""
    plan: dict[str, object] = {"sub_batch": 1, "recompute": "selective", "saved_ops": ["*.reduce"]}
    values: dict[str, object] = {
        "workload": {"family": "transformer", "sizes": LLAMA},
        "cluster": {"extends": "dgx-a100", "devices": 2},
        "target": {"steps": 1},
        "plan": {**plan, "tensor": 2},
    }
    check_scenario(build(document_of(values, "test")))
    with pytest.raises(InputError, match="no block of the model has such an op"):
        check_scenario(build(document_of({**values, "plan": plan}, "test")))
