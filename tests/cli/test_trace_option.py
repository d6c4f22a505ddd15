"""`run --trace`: the timeline of every kind of plan as a Perfetto file."""

from __future__ import annotations

import gzip
import json
from collections import defaultdict
from itertools import pairwise

import pytest

SCENARIO = """\
name: traced
workload:
  family: gpt2
  numerics: {compute: bf16, activations: bf16, weights: bf16, gradients: fp32, attention: flash}
cluster: {extends: dgx-a100-superpod, devices: 16}
target: {steps: 1}
plan: {global_batch: 64, sub_batch: 1}
"""

KINDS = {
    "data": (),
    "sharded optimizer": ("sharding=optimizer",),
    "tensor, pipeline, data": ("tensor=2", "pipeline=4", "sequence_parallel=true"),
    "interleaved": ("pipeline=4", "virtual_stages=3", "sharding=optimizer"),
    "gpipe": ("pipeline=4", "schedule=gpipe"),
    "fully sharded": ("sharding=full",),
    "fully sharded pipeline": ("sharding=full", "pipeline=2"),
    "offloaded": ("offload=optimizer", "sharding=optimizer"),
    "context": ("context=4",),
}


def read(path):
    data = path.read_bytes()
    return json.loads(gzip.decompress(data) if path.suffix == ".gz" else data)["traceEvents"]


def check(events, stages):
    """A process per stage, a compute thread in each, no overlap on a thread, counters for memory and links."""
    processes = {e["pid"]: e["args"]["name"] for e in events if e["name"] == "process_name"}
    threads = {(e["pid"], e["tid"]): e["args"]["name"] for e in events if e["name"] == "thread_name"}
    assert list(processes.values()) == [f"stage {p}" for p in range(stages)]
    assert sum(name == "compute" for name in threads.values()) == stages
    tracks = defaultdict(list)
    for e in events:
        if e["ph"] == "X":
            tracks[e["pid"], e["tid"]].append((e["ts"], e["ts"] + e["dur"]))
    longest = max(end for spans in tracks.values() for _, end in spans)
    for key, spans in tracks.items():
        assert key in threads
        for (_, end), (start, _) in pairwise(sorted(spans)):
            assert start >= end - 1e-9 * longest
    counters = {(e["pid"], e["name"]) for e in events if e["ph"] == "C"}
    assert {(pid, "memory bytes") for pid in processes} <= counters
    assert {(pid, "links busy") for pid in processes} <= counters
    return longest


@pytest.mark.parametrize("kind", KINDS)
def test_the_timeline_of_every_kind_of_plan(run, tmp_path, kind):
    """As long as the step it shows."""
    scenario, path = tmp_path / "a.yaml", tmp_path / "step.json.gz"
    scenario.write_text(SCENARIO)
    sets = [part for text in KINDS[kind] for part in ("--set", f"plan.{text}")]
    outcome = run("run", scenario, "--json", "--trace", path, "--quiet", *sets)
    assert (outcome.code, outcome.err) == (0, "")
    body = json.loads(outcome.out)
    longest = check(read(path), body["plan"]["pipeline_parallel"])
    assert longest * 1e-6 == pytest.approx(body["step"]["time_s"], rel=1e-6)


def test_the_timeline_of_layer_parallelism(run, tmp_path):
    """The paper's word language model over four stages; a plain .json where the name says so."""
    path = tmp_path / "step.json"
    assert run("run", "paper/case-study-5-layer-parallel", "--trace", path, "--quiet").code == 0
    check(read(path), 4)


def test_slices_name_their_layer_their_ops_and_their_bytes(run, tmp_path):
    """Buckets hold the gradients (4 bytes a parameter), the passes the FLOPs that the step executed on 16 devices."""
    scenario, trace = tmp_path / "s.yaml", tmp_path / "t.json"
    scenario.write_text(SCENARIO)
    outcome = run("run", scenario, "--trace", trace, "--json")
    assert outcome.code == 0, outcome.err
    result = json.loads(outcome.out)
    told = [e | e["args"] for e in read(trace) if e["ph"] == "X"]
    assert sum(e["bytes"] for e in told if e.get("axis") == "data") == 4 * result["scenario"]["parameters"]
    passes = [e for e in told if e["name"].startswith(("forward", "backward"))]
    assert 16 * sum(e["executed_flops"] for e in passes) == pytest.approx(result["step"]["executed_flops"], rel=1e-12)
    assert {e["layer"] for e in passes} >= {"embedding (place 1)", "decoder block (place 13)", "head (place 14)"}
    assert all(
        "attention.core" in e["ops"] for e in passes if e["layer"].startswith("decoder") and "forward" in e["name"]
    )
