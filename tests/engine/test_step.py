"""The simulated step: overlap, sharding, what is exposed, and that its parts add up."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prepared import chunk, data_parallel, fully_sharded, pipeline

from sim.engine import build, recursion, simulate_step, streams
from sim.engine.accounting import account
from sim.plan.framework import Framework
from sim.plan.records import Plan
from sim.plan.step_record import Stage, StepRecord, Transfer, Work

ENGINES = ("simpy", "recursion")


@pytest.mark.parametrize("engine", ENGINES)
def test_gradients_that_fit_under_backward_expose_only_the_last(engine: str) -> None:
    """Each reduction is shorter than the backward pass of the next tensor, so only the last one is waited for."""
    step = simulate_step(data_parallel(160, 1e-3, 2e-3, 1e-3), engine)  # type: ignore[arg-type]
    assert step.time_s == pytest.approx(160 * 3e-3 + 1e-3)
    assert step.exposed_communication_s == pytest.approx(1e-3)


@pytest.mark.parametrize("engine", ENGINES)
def test_gradients_slower_than_backward_follow_each_other(engine: str) -> None:
    """The stream starts after the first backward pass and never rests: forward + one backward + all reductions."""
    step = simulate_step(data_parallel(160, 1e-3, 2e-3, 5e-3), engine)  # type: ignore[arg-type]
    assert step.time_s == pytest.approx(160e-3 + 2e-3 + 160 * 5e-3)


@pytest.mark.parametrize("engine", ENGINES)
def test_without_overlap_all_reductions_are_exposed(engine: str) -> None:
    """overlap_gradients off: communication starts when the whole backward pass is done."""
    step = simulate_step(data_parallel(20, 1e-3, 2e-3, 5e-3, overlap=False), engine)  # type: ignore[arg-type]
    assert step.time_s == pytest.approx(20 * 3e-3 + 20 * 5e-3)
    assert step.communication_s["data"] == pytest.approx(0.1)


def test_a_data_parallel_step_stays_within_its_event_budget() -> None:
    """1,024 devices and 160 gradient tensors: at most 1,000 SimPy events, whatever the number of devices."""
    assert simulate_step(data_parallel(160, 1e-3, 2e-3, 1e-3)).events <= 1000


def test_a_large_pipeline_stays_within_its_event_budget() -> None:
    """TP8 × PP16 × DP64 (8,192 devices), 64 micro-batches with messages: at most 3,000 events."""
    assert simulate_step(pipeline([(10e-3, 20e-3)] * 16, 64, send_s=1e-4)).events <= 3000


@pytest.mark.parametrize("engine", ENGINES)
def test_a_collective_slows_the_kernels_beside_it(engine: str) -> None:
    """Backward beside reductions that take a fifth of the device: longer by what ran beside them."""
    alone = simulate_step(data_parallel(50, 1e-3, 2e-3, 1e-3), engine)  # type: ignore[arg-type]
    beside = simulate_step(data_parallel(50, 1e-3, 2e-3, 1e-3, stretch=1.25), engine)  # type: ignore[arg-type]
    # of each following backward pass 1 ms runs beside a reduction and gets 0.8 ms of work done
    assert beside.time_s - alone.time_s == pytest.approx(49 * 0.2e-3)
    assert beside.compute_s == pytest.approx(alone.compute_s)


@pytest.mark.parametrize("engine", ENGINES)
def test_sharded_blocks_are_gathered_one_ahead(engine: str) -> None:
    """Gathers shorter than the passes they hide under expose the first of forward and the last reduction."""
    step = simulate_step(fully_sharded(10, 2e-3, 4e-3, 1e-3, 1e-3), engine)  # type: ignore[arg-type]
    # the first gather, ten passes each way; backward's first gather hides under forward's last block
    assert step.time_s == pytest.approx(1e-3 + 20e-3 + 40e-3 + 1e-3, rel=0.02)
    assert step.communication_s["data"] == pytest.approx(30e-3)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(("when", "exposed"), [("pre", 0), ("post", 1), ("none", 2)])
def test_the_prefetch_of_backward_decides_what_is_exposed(engine: str, when: str, exposed: int) -> None:
    """10 blocks: the first gather of either pass and the last reduction are exposed; of the nine others backward hides
    the gathers (pre), does not (post), or neither them nor the reductions they queue behind (none)."""
    prepared = fully_sharded(10, 2e-3, 4e-3, 1e-3, 1e-3)
    prepared = replace(prepared, plan=replace(prepared.plan, framework=Framework(backward_prefetch=when)))  # type: ignore[arg-type]
    step = simulate_step(prepared, engine)  # type: ignore[arg-type]
    assert step.time_s == pytest.approx(10 * 6e-3 + 3e-3 + 9 * exposed * 1e-3)


@pytest.mark.parametrize("engine", ENGINES)
def test_sharded_blocks_are_bound_by_communication_where_it_is_slower(engine: str) -> None:
    """With gathers and reductions longer than compute the stream is never idle."""
    step = simulate_step(fully_sharded(10, 1e-3, 2e-3, 5e-3, 5e-3), engine)  # type: ignore[arg-type]
    assert step.time_s >= 150e-3
    assert step.time_s == pytest.approx(150e-3, rel=0.03)


def test_many_sharded_micro_batches_are_extrapolated_only_from_a_steady_period() -> None:
    """The extrapolated step equals the step simulated in full."""
    prepared = fully_sharded(6, 1e-3, 2e-3, 1.5e-3, 1e-3, micro_batches=40)
    short = simulate_step(prepared)
    full = recursion.run(build(prepared))
    assert short.time_s == pytest.approx(max(full.end), rel=1e-9)
    assert short.communication_s["data"] == pytest.approx(40 * 6 * 4e-3, rel=0.2)
    parts = short.compute_s + short.exposed_communication_s + short.bubble_s
    assert parts == pytest.approx(short.time_s, rel=1e-9)


@settings(max_examples=30, deadline=None)
@given(
    st.integers(1, 5),
    st.integers(1, 4),
    st.floats(0.0, 0.3),
    st.lists(st.tuples(st.floats(0.1, 2.0), st.floats(0.1, 4.0)), min_size=5, max_size=5),
)
def test_the_parts_of_a_step_add_up(stages: int, rounds: int, send: float, passes: list[tuple[float, float]]) -> None:
    """compute + exposed communication + bubble = time, none of them negative."""
    step = simulate_step(pipeline(passes[:stages], rounds * stages, send_s=send), "recursion")
    parts = (step.compute_s, step.exposed_communication_s, step.bubble_s)
    assert sum(parts) == pytest.approx(step.time_s, rel=1e-9)
    assert min(parts) >= -1e-12


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("chunks", [1, 2])
def test_pipelines_of_many_micro_batches_are_extrapolated_from_their_period(engine: str, chunks: int) -> None:
    """Uneven stages with messages: the same time and parts as with every micro-batch followed, in fewer events."""
    prepared = pipeline([(1.0, 2.0), (1.1, 2.3), (0.9, 2.2), (1.3, 2.1)], 96, chunks, send_s=0.3)
    short = simulate_step(prepared, engine)  # type: ignore[arg-type]
    program = build(prepared)
    full = account(prepared, program, recursion.run(program))
    for part in ("time_s", "compute_s", "bubble_s", "exposed_communication_s"):
        assert getattr(short, part) == pytest.approx(getattr(full, part), rel=1e-11)
    assert short.communication_s == pytest.approx(full.communication_s)


def test_a_billion_micro_batches_take_no_more_events_than_a_thousand() -> None:
    """(m + P − 1)·(f + b) for equal stages, whatever m."""
    few, many = (simulate_step(pipeline([(1.0, 2.0)] * 8, m)) for m in (1_000, 1_000_000_000))
    assert few.events == many.events <= 2000
    assert few.time_s == pytest.approx((1_000 + 7) * 3.0)
    assert many.time_s == pytest.approx((1_000_000_000 + 7) * 3.0)


def test_the_norm_waits_for_all_stages_and_the_update_for_the_norm() -> None:
    """Global clipping is a barrier: every stage updates after the slowest one's gradients."""
    stages = tuple(Stage(1, (chunk(1.0, b),), update=Work(0.5)) for b in (2.0, 6.0))
    prepared = StepRecord(Plan(1, 1, pipeline=2), stages, norm=Transfer("gradient norm", "norm", 0.1, 4.0))
    for engine in ENGINES:
        step = simulate_step(prepared, engine)  # type: ignore[arg-type]
        assert step.time_s == pytest.approx(1.0 + 1.0 + 6.0 + 2.0 + 0.1 + 0.5)
        assert step.update_s == 0.5


def test_a_tied_embedding_joins_first_and_last_stage() -> None:
    """Its all-reduce starts when both stages have their gradients."""
    stages = tuple(Stage(1, (chunk(1.0, 2.0),)) for _ in range(3))
    prepared = StepRecord(Plan(1, 3, pipeline=3), stages, tied=Transfer("tied embedding", "pipeline", 0.25, 1e6))
    assert simulate_step(prepared).time_s == pytest.approx((3 + 2) * 3.0 + 0.25)


def test_updated_parameters_are_gathered_under_the_next_forward_pass() -> None:
    """Sharded optimiser: prefetched gathers hide under forward, others come after the update."""
    base = chunk(1.0, 2.0)
    gathers = (Transfer("gather parameters", "data", 0.25, 1e6, 0),)
    stage = Stage(8, (replace(base, gathers=gathers),))
    hidden = simulate_step(StepRecord(Plan(1, 32, data=8), (stage,)))
    after = simulate_step(StepRecord(Plan(1, 32, data=8, framework=Framework(overlap_gathers=False)), (stage,)))
    assert hidden.time_s == pytest.approx(12.25)  # one bucket: the first forward pass waits for all of it
    assert after.time_s == pytest.approx(12.25)
    assert after.exposed_communication_s == pytest.approx(0.25)


@pytest.mark.parametrize("schedule", ["none", "wavefront", "pipelined"])
def test_layers_of_a_recurrent_model_overlap_over_time_steps(schedule: str) -> None:
    """Four devices: embedding 0 s, two recurrent layers of 4 s and a head of 2 s (backward twice that), 20 steps."""
    kinds = ("embedding", "block", "block", "head")
    times = (0.0, 4.0, 4.0, 2.0)
    stages = []
    for kind, t in zip(kinds, times, strict=True):
        one = chunk(t, 2 * t)
        block = replace(one.blocks[0], kind=kind)  # type: ignore[arg-type]
        stages.append(Stage(1, (replace(one, blocks=(block,)),)))
    plan = Plan(1, 1, pipeline=4, layer_schedule=schedule)  # type: ignore[arg-type]
    prepared = StepRecord(plan, tuple(stages), time_steps=20)
    expected = {
        "none": 30.0,
        "wavefront": (4.0 + 4.0 / 20) * 3 + 2.0 * 3,
        "pipelined": (4.0 + 4.0 / 20 + 2.0 / 20) * 3,
    }[schedule]
    for engine in ENGINES:
        assert simulate_step(prepared, engine).time_s == pytest.approx(expected)  # type: ignore[arg-type]


def test_simpy_and_recursion_agree_on_overlap_with_contention() -> None:
    """Gradient collectives that steal from the kernels they overlap."""
    program = build(data_parallel(30, 1e-3, 2e-3, 2.5e-3, stretch=1.3))
    assert program.contended
    assert recursion.run(program).end == pytest.approx(streams.run(program).end, rel=1e-9)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_blocking_message_takes_its_senders_time(engine: str) -> None:
    """Two stages, all forward then all backward: (m+1)(f+b) + 2·send, and where a stage waits until its message has
    left, send after every pass of the sender: (m+1)(f+b) + 2m·send."""
    m, send_s = 6, 0.25
    prepared = pipeline([(1.0, 2.0)] * 2, m, send_s=send_s, schedule="gpipe")
    free = simulate_step(prepared, engine)  # type: ignore[arg-type]
    blocking = simulate_step(
        replace(prepared, plan=replace(prepared.plan, framework=Framework(overlap_sends=False))), engine
    )  # type: ignore[arg-type]
    assert free.time_s == pytest.approx((m + 1) * 3.0 + 2 * send_s)
    assert blocking.time_s == pytest.approx((m + 1) * 3.0 + 2 * m * send_s)
    assert blocking.exposed_communication_s > free.exposed_communication_s
