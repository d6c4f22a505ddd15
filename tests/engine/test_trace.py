"""The timeline: tracks per stage and stream, nothing overlapping on a track, counters, reproducible bytes."""

from __future__ import annotations

import gzip
import json
from itertools import pairwise

import pytest
from prepared import data_parallel, fully_sharded, pipeline

from sim.engine import Step, simulate_step
from sim.engine.trace import trace_events, trace_file
from sim.plan.records import DeviceMemory
from sim.plan.step_record import StepRecord

CASES = {
    "pipeline": pipeline([(1.0, 2.0)] * 4, 8, 2, send_s=0.1),
    "data": data_parallel(10, 1e-3, 2e-3, 3e-3, stretch=1.2),
    "sharded": fully_sharded(5, 1e-3, 2e-3, 1e-3, 2e-3, 3),
}


def _traced(prepared: StepRecord) -> Step:
    return simulate_step(prepared, trace=True)


@pytest.mark.parametrize("case", CASES)
def test_slices_never_overlap_on_a_track(case: str) -> None:
    """A stream does one thing at a time, and everything lies within the step."""
    step = _traced(CASES[case])
    tracks: dict[str, list[tuple[float, float]]] = {}
    for s in step.slices:
        tracks.setdefault(s.track, []).append((s.start_s, s.end_s))
    for slices in tracks.values():
        slices.sort()
        for (_, end), (start, _) in pairwise(slices):
            assert start >= end - 1e-12
    assert max(s.end_s for s in step.slices) == pytest.approx(step.time_s)


@pytest.mark.parametrize("case", CASES)
def test_tracing_does_not_change_the_answer(case: str) -> None:
    """The traced step (a task per block) takes as long as the plain one."""
    assert _traced(CASES[case]).time_s == pytest.approx(simulate_step(CASES[case]).time_s, rel=1e-9)


def test_every_stage_has_a_compute_track() -> None:
    """A track per stage and stream."""
    names = {s.track for s in _traced(CASES["pipeline"]).slices}
    assert {f"stage {p} / compute" for p in range(4)} <= names
    assert any("send forward" in name for name in names)


def test_counters_follow_memory_and_links() -> None:
    """Memory rises with forward passes to what the plan reserved for activations, and comes back."""
    memory = [DeviceMemory(f"stage {p}", 1, {"weights": 10.0, "activations": 8.0}, 100.0) for p in range(4)]
    events = trace_events(_traced(pipeline([(1.0, 2.0)] * 4, 8, send_s=0.1)), memory)
    values = [e["args"]["value"] for e in events if e["name"] == "memory bytes" and e["pid"] == 0]  # type: ignore[index]
    assert (min(values), max(values), values[-1]) == (10.0, 18.0, 10.0)
    assert {e["args"]["value"] for e in events if e["name"] == "links busy"} >= {0.0, 1.0}  # type: ignore[index]


def test_the_file_is_json_and_always_the_same() -> None:
    """Gzip without a clock in it: the same step gives the same bytes."""
    one = trace_file(_traced(CASES["data"]), packed=True)
    assert one == trace_file(_traced(CASES["data"]), packed=True)
    content = json.loads(gzip.decompress(one))
    assert content == json.loads(trace_file(_traced(CASES["data"])))
    assert {e["ph"] for e in content["traceEvents"]} == {"M", "X", "C"}


def test_memory_of_fully_sharded_micro_batches_comes_and_goes_with_each() -> None:
    """Three micro-batches one after the other: three rises to the full height, and back."""
    memory = [DeviceMemory("all devices", 8, {"weights": 10.0, "activations": 8.0}, 100.0)]
    events = trace_events(_traced(CASES["sharded"]), memory)
    values = [e["args"]["value"] for e in events if e["name"] == "memory bytes"]  # type: ignore[index]
    assert values == [10.0, 18.0, 10.0, 18.0, 10.0, 18.0, 10.0] or values == [18.0, 10.0, 18.0, 10.0, 18.0, 10.0]
