"""The 21 kinds of traceback, and the hangs, that mutated inputs once gave: each is a refusal or an answer now."""

from __future__ import annotations

import json
import re

import pytest

from sim.cli import process
from tests.fuzz.cases import ASTRA, ROOT, SMALL, Case, text_of
from tests.fuzz.test_mutations import faults

CHIP = (ROOT / "hardware" / "accelerators" / "t4.yaml").read_text(encoding="utf-8")
RECURRENT = """\
name: recurrent
target: {steps: 1}
workload: {family: highway_lm, parameters: 1e308}
cluster: {extends: dgx-a100, devices: 8}
plan: {global_batch: 64}
"""


def small(*sets: str, command: str = "run") -> Case:
    """The small transformer with these values."""
    given = tuple(part for text in sets for part in ("--set", text))
    return Case((command, "small.yaml", *given, "--json"), {"small.yaml": SMALL})


def link(line: str) -> Case:
    """A cluster whose links say so."""
    text = (
        f"name: c\naccelerator: t4\nlevels: [{{name: n, topology: ring, size: 8, link: {{like: nvlink-3, {line}}}}}]\n"
    )
    return Case(("run", "small.yaml", "--set", "cluster=c.yaml", "--json"), {"c.yaml": text, "small.yaml": SMALL})


def astra_system(**changes: object) -> Case:
    """An ASTRA-sim system file with other values."""
    files = {name: text_of(tree) for name, tree in ASTRA.items()}
    files["system.json"] = json.dumps({**ASTRA["system.json"], **changes})
    return Case(("collective", "network.yml", "--bytes", "1MiB", "--astra-system", "system.json"), files)


def rows(text: str, name: str = "collectives") -> Case:
    """A CSV through a shipped set's rules."""
    return Case(("validate", name, "--rows", "rows.csv", "--json"), {"rows.csv": text})


HOPELESS = """\
campaign:
  failures: [{component: node, mtbf: 3 h, count: 64}]
  checkpoints: {interval: 5 min, write: 10 s, read: 20 s}
  recovery: {spares: 1, repair: 20 h, detect: 30 s, restart: 60 s}
"""


def law(line: str) -> Case:
    """A loss law with another constant."""
    text = (ROOT / "scenarios" / "scaling" / "chinchilla-hoffmann.yaml").read_text(encoding="utf-8")
    name = line.partition(":")[0]
    kept = [each for each in text.splitlines() if not each.startswith(f"  {name}:")]
    made = "\n".join(kept).replace("loss:\n", f"loss:\n  {line}\n", 1)
    return Case(("run", "paper/word-lm", "--set", "scaling=domain.yaml", "--json"), {"domain.yaml": made})


def failures_row(nodes: str) -> Case:
    """The set of failure rates with a row of so many nodes."""
    header = "id,rate_from,applied_to,own,nodes,rate_per_1000_node_days,mttf_h,effective_pct,checkpoint_bytes,"
    return rows(f'{header}write_bytes_per_s,source\na,rsc2,bloom,no,"{nodes}",2.34,168,,,,here\n', "failures")


HEADER = "system,accelerator,nodes,n_gpus,collective,size_bytes,time_us,algbw_GBps,busbw_GBps,note,source,confidence\n"

CASES = {
    "an empty name": Case(("run", "a.yaml"), {"a.yaml": SMALL.replace("name: small", 'name: ""')}),
    "a null name": Case(("run", "a.yaml"), {"a.yaml": SMALL.replace("name: small", "name:")}),
    "footprint ops": Case(("footprint", "ops")),
    "a matrix tile of nothing": Case(
        ("run", "small.yaml", "--set", "accelerator=chip.yaml"),
        {"chip.yaml": re.sub(r"units: (\d+)", r"units: \1, tile: [0, 0, 0]", CHIP), "small.yaml": SMALL},
    ),
    "a compute share above one": link("compute_share: 1.5"),
    "a memory share above one": link("memory_share: 7"),
    "no units in a sample": small("training.units_per_sample=0"),
    "bytes beyond a float": Case(("collective", "dgx-a100", "--bytes", "1e400")),
    "a renamed column": rows(HEADER.replace("nodes", "knots") + "x,A100,2,16,all_reduce,1e6,100,,,,,A\n"),
    "no nodes": rows(HEADER + "dgx,A100-SXM4-80GB,0,16,all_reduce,1000000,100,,,,,A\n"),
    "nested lists in an ASTRA-sim system": astra_system(**{"all-reduce-implementation": [["ring"], {"a": 1}]}),
    "numbers in an ASTRA-sim system": astra_system(**{"all-reduce-implementation": 7, "endpoint-delay": [[]]}),
    "a date that is none": Case(("check", "chip.yaml"), {"chip.yaml": re.sub("date: .*", "date: soon", CHIP)}),
    "a projection from a date that is none": Case(
        ("hardware", "project", "chip.yaml", "--year", "2030"), {"chip.yaml": re.sub("date: .*", "date: soon", CHIP)}
    ),
    "infinite parameters": Case(("model", "transformer", "--parameters", "inf")),
    "parameters near the largest float": Case(("model", "dlrm", "--parameters", "1e308")),
    "as many on a chip": Case(("footprint", "resnet", "--parameters", "1e308", "--batch", "1000000000")),
    "a recurrent model as large": Case(("run", "a.yaml"), {"a.yaml": RECURRENT}),
    "a sequence near the largest float": small("workload.sizes.sequence=1e308"),
    "a level of 2 to the 64": Case(
        ("check", "c.yaml"),
        {"c.yaml": f"name: c\naccelerator: t4\nlevels: [{{name: n, topology: ring, size: {2**64}, link: nvlink-3}}]\n"},
    ),
    "a depth of 8e8": small("workload.sizes.depth=800000000"),
    "a device far outside a graph": Case(
        ("collective", "c.yaml", "--bytes", "1MiB"),
        {
            "c.yaml": "name: c\naccelerator: t4\ngraph:\n  edges:\n"
            "    - {ends: [0, 100000000], bandwidth: 1 GB/s, latency: 1 us}\n"
        },
    ),
    "a full mesh of 65,536": Case(
        ("collective", "c.yaml", "--bytes", "1MiB"),
        {
            "c.yaml": "name: c\naccelerator: t4\n"
            "levels: [{name: n, topology: fully_connected, size: 65536, link: ndr}]\n"
        },
    ),
    "slow devices as JSON": small("training.slow_devices=[{rank: 0, factor: 2}]"),
    "a device slower than a float can say": small("training.slow_devices=[{rank: 0, factor: 1e308}]"),
    "a batch of a billion": small("plan.global_batch=1000000000"),
    "a trace of a billion": Case(
        ("run", "small.yaml", "--set", "plan.global_batch=1000000000", "--trace", "t.json"), {"small.yaml": SMALL}
    ),
    "a billion, all forward passes first": small(
        "plan.global_batch=1000000000", "plan.pipeline=2", "plan.schedule=gpipe"
    ),
    "a billion, interleaved": small("plan.global_batch=1000000000", "plan.pipeline=2", "plan.virtual_stages=2"),
    "a full mesh of 4,096": Case(
        ("check", "c.yaml"),
        {"c.yaml": "name: c\naccelerator: t4\nlevels: [{name: n, topology: fully_connected, size: 4096, link: ndr}]\n"},
    ),
    "a batch of a billion under jitter": small("plan.global_batch=1000000000", "training.jitter=0.1"),
    "a home folder of nobody": small("cluster=~1000000000.0"),
    "a standard error of a million constants": law("errors: {standard: {size_coefficient: 8e10}}"),
    "an exponent next to nothing": law("data_exponent: 1e-12"),
    "a coefficient next to nothing": law("data_coefficient: 5e-324"),
    "pieces beyond number": astra_system(**{"preferred-dataset-splits": 4e300}),
    "a wait for nodes that never are enough": Case(
        ("run", "a.yaml"), {"a.yaml": SMALL.replace("steps: 10", "steps: 100000000") + HOPELESS}
    ),
    "more campaigns than hours": Case(
        ("run", "a.yaml"),
        {
            "a.yaml": SMALL.replace("steps: 10", "steps: 100000000")
            + HOPELESS.replace("3 h", "300 h")
            + "  seeds: 100000\n"
        },
    ),
    "nothing to compute": Case(
        ("run", "small.yaml", "--set", "cluster.devices=8"),
        {"small.yaml": re.sub("workload: .*", "workload: {family: ops, sizes: {ops: []}}", SMALL)},
    ),
    "nodes that are no number": failures_row("{'extends': 'nonsense'}"),
    "a domain that is a number": Case(
        ("validate", "set.yaml"),
        {
            "set.yaml": "name: set\nquantity: learning\ncsv: rows.csv\ntemplate: {law: loss, prior: 383}\n"
            "measured: [{column: loss, field: loss}]\n",
            "rows.csv": "parameters,tokens,loss\n1e9,1e9,3\n2e9,2e9,2.9\n3e9,4e9,2.8\n",
        },
    ),
    "four million devices": small("cluster.levels.0.size=4194304", "cluster.devices=4194304", command="check"),
}


@pytest.mark.parametrize("name", CASES)
def test_a_known_fault_is_an_answer_or_a_refusal(name, tmp_path, monkeypatch):
    """No traceback, no hang, no flood, a documented exit code, a place for every refusal, no impossible number."""
    monkeypatch.chdir(tmp_path)
    case = CASES[name]
    for file, text in case.files.items():
        (tmp_path / file).write_text(text, encoding="utf-8")
    assert faults(case) == []


def test_what_is_mutated_runs(tmp_path, monkeypatch):
    """Else every mutation of it would be refused for the same old reason."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "small.yaml").write_text(SMALL)
    assert process.run(["run", "small.yaml", "--quiet"]) == 0


def test_files_that_extend_twice_are_read_once(tmp_path, monkeypatch):
    """16 files, each extending the next one twice: 65,536 ways, 16 files."""
    monkeypatch.chdir(tmp_path)
    for number in range(16):
        (tmp_path / f"f{number}.yaml").write_text(f"extends: [f{number + 1}.yaml, f{number + 1}.yaml]\n")
    (tmp_path / "f16.yaml").write_text(SMALL)
    assert faults(Case(("check", "f0.yaml"))) == []


def test_a_chain_of_900_files_is_read_or_refused(tmp_path, monkeypatch):
    """Deeper than Python's own stack."""
    monkeypatch.chdir(tmp_path)
    for number in range(900):
        (tmp_path / f"f{number}.yaml").write_text(f"extends: f{number + 1}.yaml\n")
    (tmp_path / "f900.yaml").write_text(SMALL)
    assert faults(Case(("check", "f0.yaml"))) == []
