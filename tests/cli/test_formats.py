"""`--format`: wherever a table is printed it is there as CSV with SI numbers, as Markdown and as JSON; completion."""

from __future__ import annotations

import csv
import io
import json
import re

import pytest

from sim.cli.commands import commands
from sim.files.clusters import load_links
from sim.files.library import names

TABLES = {
    "compare": ("compare", "paper/frontier-image", "paper/frontier-nmt"),
    "sensitivity": ("sensitivity", "paper/frontier-image", "--metric", "step_s", "--property", "peak"),
    "ops": ("ops", "paper/frontier-image"),
    "collective": ("collective", "dgx-h100", "--from", "1MiB", "--to", "4MiB", "--algorithm", "all"),
    "footprint": ("footprint", "gpt2"),
    "project": ("project", "word-lm", "image"),
    "frameworks": ("frameworks", "list"),
    "scenarios": ("scenarios",),
    "accelerators": ("hardware", "list", "accelerators"),
    "clusters": ("hardware", "list", "clusters"),
    "links": ("hardware", "links"),
}


@pytest.mark.parametrize("name", TABLES)
def test_a_table_is_csv_markdown_and_json(run, name):
    """The same rows in each; CSV names units and holds plain numbers."""
    text = run(*TABLES[name], "--format", "csv").out
    rows = list(csv.DictReader(io.StringIO(text)))
    marked = run(*TABLES[name], "--format", "markdown").out.strip().splitlines()
    assert len(marked) == len(rows) + 2
    assert {line.replace("\\|", "").count("|") for line in marked} == {len(rows[0]) + 1}
    assert isinstance(json.loads(run(*TABLES[name], "--format", "json").out), dict)
    assert run(*TABLES[name], "--format", "json").out == run(*TABLES[name], "--json").out
    for row in rows:
        for key, value in row.items():
            if key.endswith(("_s", "_bytes", "_j", "_w")) and value:
                float(value)


@pytest.mark.parametrize("name", [name for name in TABLES if name != "scenarios"])  # those stand below questions
def test_a_column_of_a_terminal_has_one_unit(run, name):
    """The words after the numbers of a column are the same in every row."""
    lines = run(*TABLES[name]).out.splitlines()
    rules = [i for i, line in enumerate(lines) if re.fullmatch(r"\s*-+(  +-+)+", line)]
    assert rules
    for rule in rules:
        spans = [match.span() for match in re.finditer("-+", lines[rule])]
        body = lines[rule + 1 :]
        body = body[: next((i for i, line in enumerate(body) if not line.strip()), len(body))]
        for place, (start, end) in enumerate(spans):
            if lines[rule - 1][start:end].strip() == "size":  # buffers, as nccl-tests writes them
                continue
            cells = [line[start : None if place == len(spans) - 1 else end].strip() for line in body]
            units = {m[1] for cell in cells if (m := re.fullmatch(r"-?[\d.,]+(?:e[+-]\d+)? ([A-Za-z/%]+)", cell))}
            assert len(units) <= 1, (lines[rule - 1][start:end], units)


def test_links_are_listed_with_their_figures(run):
    """Every type of the library; bandwidth in B/s."""
    rows = csv.DictReader(io.StringIO(run("hardware", "links", "--format", "csv").out))
    found = {row["link"]: float(row["bandwidth_bytes_per_s"]) for row in rows}
    assert found == {name: link.bandwidth for name, link in load_links().items()}


def test_a_new_cluster_passes_check_and_runs(run, tmp_path, monkeypatch):
    """As it is written; a name that is no name is refused."""
    monkeypatch.chdir(tmp_path)
    assert run("hardware", "new", "mine", "--cluster", "--quiet").code == 0
    assert run("check", "mine.yaml").code == 0
    assert run("collective", "mine.yaml", "--bytes", "1MiB").code == 0
    assert run("hardware", "new", "My Cluster", "--cluster").code == 2


def test_a_cluster_of_one_s_own_chip_is_right(run, tmp_path, monkeypatch):
    """The chip lies beside it, wherever `check` is called from; one that does not is named with its place."""
    monkeypatch.chdir(tmp_path)
    assert run("hardware", "new", "chip", "-o", tmp_path / "chip.yaml", "--quiet").code == 0
    pod = "{name: pod, accelerator: CHIP, levels: [{name: n, topology: switch, size: 8, link: nvlink4}], source: mine}"
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    (tmp_path / "pod.yaml").write_text(pod.replace("CHIP", "chip.yaml"))
    (tmp_path / "bad.yaml").write_text(pod.replace("CHIP", "chop.yaml"))
    monkeypatch.chdir(folder)
    assert run("check", tmp_path / "pod.yaml").code == 0
    refused = run("check", tmp_path / "bad.yaml")
    assert refused.code == 2
    assert f"{tmp_path / 'bad.yaml'}:1:" in refused.err


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("foretrain se", {f"plain,{name}" for name in commands() if name.startswith("se")}),
        ("foretrain run paper/front", {f"plain,{n}" for n in names("scenarios") if n.startswith("paper/front")}),
        ("foretrain run x --pl", {"plain,--plot"}),
    ],
)
def test_a_shell_completes(process, words, expected):
    """Commands, scenarios of the library and options."""
    asked = {"_FORETRAIN_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": str(words.count(" "))}
    shown = process(env=asked).out.split()
    assert {word for word in shown if word.startswith("plain,")} == expected


def test_the_script_of_a_shell_names_the_command(run):
    assert "_FORETRAIN_COMPLETE" in run("completion", "bash").out
    assert run("completion", "tcsh").code == 2


def test_a_searched_plan_is_json_too(run):
    """What the search kept is what the plan chosen has; the framework of it as a mapping."""
    changes = ("plan.search=true", "plan.global_batch=4096", "plan.tensor=1", "plan.pipeline=1")
    outcome = run("run", "domains/word-lm", "--json", *(part for change in changes for part in ("--set", change)))
    assert outcome.code == 0, outcome.err
    plan = json.loads(outcome.out)["plan"]
    assert plan["search"]["kept"]["framework"]["bucket_bytes"] == 25e6
    assert {key: plan[key] for key in plan["search"]["kept"]} == plan["search"]["kept"]
