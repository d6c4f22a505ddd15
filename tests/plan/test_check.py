"""Plans that cannot be: every mistake at once, each with the nearest choices that would do."""

from __future__ import annotations

import pytest

from sim.errors import InputError
from sim.plan import Plan, check_given, check_plan


def _message(plan: Plan, devices: int, **model: int) -> str:
    with pytest.raises(InputError) as caught:
        check_plan(plan, devices, **model)
    return str(caught.value)


def test_a_good_plan_passes() -> None:
    """Nothing to say."""
    check_plan(Plan(2, 64, data=4, tensor=2, pipeline=2), 16, blocks=8, heads=16)


def test_degrees_must_multiply_to_the_devices() -> None:
    """With the other degrees kept, the data degree that fits is named."""
    text = _message(Plan(1, 64, data=4, tensor=2, pipeline=2), 32)
    assert "tensor·context·data·pipeline" in text
    assert "2·1·4·2 = 16" in text
    assert "data must be 8" in text


def test_degrees_that_do_not_divide_name_the_nearest_product() -> None:
    """3·2 = 6 does not divide 32: with two stages a tensor degree of 2 or 4 does. The batch is not judged then."""
    text = _message(Plan(1, 64, data=5, tensor=3, pipeline=2), 32)
    assert text.startswith("plan.tensor: tensor·context·pipeline = 6 must divide the 32 devices")
    assert "nearest 2 or 4" in text
    assert "global_batch" not in text


def test_context_must_divide_the_sequence() -> None:
    """1,023 positions over two ranks do not come out even."""
    assert "nearest 1 or 3" in _message(Plan(1, 2, context=2), 2, sequence=1023)


def test_a_dense_model_has_no_experts_to_spread() -> None:
    """An expert degree of 1 is the choice."""
    assert "no experts" in _message(Plan(1, 64, data=4, expert=4), 4, experts=0)


def test_of_a_search_only_what_is_given_is_judged() -> None:
    """Degrees left open may take what is left over; a given one must divide, and a given batch too."""
    check_given({"tensor": 4}, 16, heads=16, blocks=8)
    check_given({"data": 2, "global_batch": 64}, 16)
    for given, path in (
        ({"tensor": 3}, "plan.tensor"),
        ({"data": 3}, "plan.data"),
        ({"pipeline": 16}, "plan.pipeline"),
        ({"tensor": 2, "virtual_stages": 2, "pipeline": 1}, "plan.virtual_stages"),
        ({"data": 4, "sub_batch": 3, "global_batch": 64}, "plan.global_batch"),
    ):
        with pytest.raises(InputError) as caught:
            check_given(given, 16, heads=16, blocks=8)
        assert {p.path for p in caught.value.problems} == {path}


def test_the_batch_must_divide() -> None:
    """Nearest global batches, and sub-batches that divide this one."""
    text = _message(Plan(3, 64, data=4), 4)
    assert "multiple of sub_batch·data = 3·4 = 12" in text
    assert "nearest 60 or 72" in text
    assert "sub_batch 2 or 4" in text


def test_more_stages_than_layers() -> None:
    """The deepest pipeline that fits is offered."""
    text = _message(Plan(1, 64, pipeline=16), 16, blocks=8)
    assert "more stages than layers" in text
    assert "7 or 8" in text


def test_interleaving_needs_a_pipeline() -> None:
    """One stage cannot interleave."""
    assert "needs a pipeline" in _message(Plan(1, 8, data=8, virtual_stages=2), 8)


def test_interleaving_needs_whole_groups_of_micro_batches() -> None:
    """6 micro-batches over 4 stages: batches with 4 or 8 of them are named."""
    assert "nearest 4 or 8" in _message(Plan(1, 6, pipeline=4, virtual_stages=2), 4)


def test_a_schedule_that_the_plan_cannot_run_is_refused() -> None:
    """DualPipe: even stages, an even number of micro-batches, 2·pipeline at least (its published implementation asserts
    so); ZB-V: 2·pipeline − 1; one stage has nothing to fill."""
    assert "an even number of stages" in _message(Plan(1, 64, pipeline=3, schedule="dualpipe"), 3)
    assert "2·pipeline = 8 at least, got 7 micro-batches (global_batch: 8)" in _message(
        Plan(1, 7, pipeline=4, schedule="dualpipe"), 4
    )
    assert "got 9 micro-batches (global_batch: 20)" in _message(Plan(2, 18, pipeline=4, schedule="dualpipe"), 4)
    assert "7 micro-batches at least, got 6" in _message(Plan(1, 6, pipeline=4, schedule="zb-v"), 4)
    assert "at least 2 stages" in _message(Plan(1, 64, schedule="zb-h1"), 1)
    assert "virtual_stages must be 1" in _message(Plan(1, 64, pipeline=4, virtual_stages=2, schedule="zb-h1"), 4)
    assert "nearest 7 or 8" not in _message(Plan(1, 64, pipeline=16, schedule="zb-v"), 16, blocks=8)
    for schedule in ("zb-h1", "zb-v", "dualpipe"):
        check_plan(Plan(1, 64, pipeline=4, schedule=schedule), 4, blocks=8)


def test_fewer_experts_than_the_expert_degree() -> None:
    """The degrees that divide the experts."""
    text = _message(Plan(1, 64, data=16, expert=16), 16, experts=8)
    assert "8 experts" in text
    assert "4 or 8" in text


def test_tensor_degree_must_divide_the_heads() -> None:
    """Heads are what is cut."""
    assert "nearest 2 or 4" in _message(Plan(1, 3, tensor=3), 3, heads=16)


def test_everything_wrong_is_told_at_once() -> None:
    """Three mistakes, three problems."""
    with pytest.raises(InputError) as caught:
        check_plan(Plan(3, 64, data=4, virtual_stages=2, shard_group=3), 8)
    paths = [p.path for p in caught.value.problems]
    assert paths == ["plan.data", "plan.global_batch", "plan.virtual_stages", "plan.shard_group"]


def test_degrees_must_be_positive() -> None:
    """Zero devices along an axis: refused as the plan is made."""
    with pytest.raises(InputError, match="data: must be at least 1"):
        Plan(1, 64, data=0)


def test_only_recurrent_models_overlap_layers_over_time_steps() -> None:
    """A Transformer has heads and no time steps."""
    text = _message(Plan(1, 64, pipeline=4, layer_schedule="wavefront"), 4, heads=16)
    assert "needs a recurrent model" in text
    check_plan(Plan(1, 64, pipeline=4, layer_schedule="wavefront"), 4)
