"""Pipeline schedules: complete, in a possible order, and with the bubbles the papers state."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prepared import pipeline

from sim.engine import simulate_step
from sim.engine.pipeline import in_flight, merged_order, previous, stage_order
from sim.errors import InputError
from sim.plan.memory import in_flight as closed_in_flight
from sim.plan.records import Plan

SHAPES = [(1, 1, 1), (2, 4, 1), (4, 8, 2), (4, 2, 1), (8, 32, 4), (6, 12, 3)]


@pytest.mark.parametrize(("stages", "micro_batches", "chunks"), SHAPES)
def test_every_pass_runs_once_and_after_what_it_needs(stages: int, micro_batches: int, chunks: int) -> None:
    """A schedule holds each (stage, chunk, micro-batch, direction) once; no pass before its input or its forward."""
    order = merged_order(stages, micro_batches, chunks, "1f1b")
    assert len(set(order)) == len(order) == 2 * stages * micro_batches * chunks
    place = {item: k for k, item in enumerate(order)}
    for item in order:
        before = previous(item, stages, chunks)
        assert before is None or place[before] < place[item]
        assert item.forward or place[item._replace(forward=True)] < place[item]


@pytest.mark.parametrize("engine", ["simpy", "recursion"])
@pytest.mark.parametrize(("stages", "micro_batches"), [(1, 3), (2, 2), (4, 8), (16, 64)])
def test_one_f_one_b_has_the_bubble_of_the_paper(stages: int, micro_batches: int, engine: str) -> None:
    """(m + P − 1)(f + b): a bubble of (P−1)/(m+P−1) of the step (Narayanan et al. 2021, §2.2.1)."""
    step = simulate_step(pipeline([(1.0, 2.0)] * stages, micro_batches), engine)  # type: ignore[arg-type]
    assert step.time_s == (micro_batches + stages - 1) * 3.0
    assert step.bubble_s / step.time_s == pytest.approx((stages - 1) / (micro_batches + stages - 1), rel=1e-12)


@pytest.mark.parametrize("engine", ["simpy", "recursion"])
@pytest.mark.parametrize(("stages", "micro_batches", "chunks"), [(4, 8, 2), (8, 32, 4), (4, 4, 2), (2, 6, 8)])
def test_interleaving_divides_the_bubble_by_the_chunks(
    stages: int, micro_batches: int, chunks: int, engine: str
) -> None:
    """v chunks per device shorten the bubble to 1/v (Narayanan et al. 2021, §2.2.2)."""
    whole = simulate_step(pipeline([(1.0, 2.0)] * stages, micro_batches), engine)  # type: ignore[arg-type]
    cut = simulate_step(pipeline([(1.0, 2.0)] * stages, micro_batches, chunks), engine)  # type: ignore[arg-type]
    assert cut.bubble_s == pytest.approx(whole.bubble_s / chunks, rel=1e-12)
    assert cut.compute_s == pytest.approx(whole.compute_s, rel=1e-12)


def test_gpipe_takes_as_long_as_1f1b_but_holds_every_micro_batch() -> None:
    """With equal passes the two schedules differ in memory only."""
    passes = [(1.0, 2.0)] * 4
    first = simulate_step(pipeline(passes, 8, schedule="gpipe"))
    assert first.time_s == simulate_step(pipeline(passes, 8)).time_s
    assert in_flight(0, 4, 8, 1, "gpipe") == (8,)
    assert in_flight(0, 4, 8, 1, "1f1b") == (4,)


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 8), st.integers(1, 6), st.integers(1, 4), st.sampled_from(["1f1b", "gpipe"]))
def test_micro_batches_in_flight_match_the_schedule(stages: int, rounds: int, chunks: int, schedule: str) -> None:
    """The closed form that memory uses counts what the schedule holds at its fullest moment."""
    if stages == 1:
        chunks = 1
    micro_batches = rounds * stages
    plan = Plan(1, micro_batches, pipeline=stages, virtual_stages=chunks, schedule=schedule)  # type: ignore[arg-type]
    for stage in range(stages):
        counted = in_flight(stage, stages, micro_batches, chunks, schedule)  # type: ignore[arg-type]
        assert closed_in_flight(stage, plan) == counted


def test_the_last_stage_alternates_from_the_start() -> None:
    """1F1B: the last stage runs forward and backward in turn, the first P − 1 forward passes ahead."""
    last = [item.forward for item in stage_order(3, 4, 6, 1, "1f1b")]
    first = [item.forward for item in stage_order(0, 4, 6, 1, "1f1b")]
    assert last == [True, False] * 6
    assert first[:5] == [True, True, True, True, False]


def test_interleaving_refuses_micro_batches_that_do_not_fill_groups() -> None:
    """The interleaved order advances micro-batches in groups of P."""
    with pytest.raises(InputError, match="multiples of 4"):
        merged_order(4, 6, 2, "1f1b")


def test_a_message_between_stages_is_exposed_in_fill_and_drain() -> None:
    """One micro-batch through P stages waits for 2(P−1) messages."""
    step = simulate_step(pipeline([(1.0, 2.0)] * 4, 1, send_s=0.25))
    assert step.time_s == 4 * 3.0 + 6 * 0.25
    assert step.exposed_communication_s + step.bubble_s == pytest.approx(step.time_s - 3.0)
