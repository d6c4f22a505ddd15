"""check, show, scenarios, schema: the commands that only read files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.files.conftest import SCENARIO

ROOT = Path(__file__).parents[2]


@pytest.fixture
def small(tmp_path):
    """The path of a valid scenario."""
    path = tmp_path / "a.yaml"
    path.write_text(SCENARIO)
    return path


def test_check_says_what_each_file_is(run, small, tmp_path):
    """Kinds are told by their keys."""
    (tmp_path / "b.yaml").write_text((ROOT / "scenarios/scaling/word-lm.yaml").read_text())
    (tmp_path / "paper-2019.yaml").write_text((ROOT / "hardware/accelerators/paper-2019.yaml").read_text())
    outcome = run("check", tmp_path)
    assert outcome.code == 0
    assert [line.rpartition("/")[2] for line in outcome.out.splitlines()] == [
        "a.yaml: scenario: ok",
        "b.yaml: scaling domain: ok",
        "paper-2019.yaml: accelerator: ok",
    ]


def test_check_tells_every_problem_of_every_file(run, small, tmp_path):
    """Verdicts on stdout, problems on stderr, exit 2."""
    (tmp_path / "b.yaml").write_text(SCENARIO.replace("sub_batch: 128", "sub_bach: 128"))
    (tmp_path / "c.yaml").write_text("a: [")
    outcome = run("check", tmp_path)
    assert outcome.code == 2
    assert "a.yaml: scenario: ok" in outcome.out
    assert 'b.yaml:13:3: plan.sub_bach: unknown key (did you mean "sub_batch"?)' in outcome.err
    assert "c.yaml:2:1: is not YAML" in outcome.err


def test_check_as_json(run, small, tmp_path):
    """One object, also when there are problems."""
    small.write_text(SCENARIO.replace("25 MB", "25"))
    outcome = run("check", small, "--json")
    body = json.loads(outcome.out)
    assert (outcome.code, body["problems"]) == (2, 1)
    assert body["files"][0]["problems"][0].endswith('needs a unit, written like "80 GiB" or "40 GB", got 25')


def test_check_takes_names_and_overrides(run, small):
    """What `run` takes, `check` checks."""
    assert run("check", small, "--set", "plan.sub_batch=2").code == 0
    assert run("check", small, "--set", "plan.data=0").code == 2
    assert "must be the 4 devices of the cluster" in run("check", small, "--set", "plan.data=2").err


@pytest.mark.parametrize("arguments", [("none.yaml",), ("no-such-name",), ()])
def test_check_of_nothing_is_bad_input(run, arguments, tmp_path, monkeypatch):
    """Missing files, unknown names, no argument, an empty folder."""
    monkeypatch.chdir(tmp_path)
    assert run("check", *arguments).code == 2
    assert run("check", tmp_path).code == 2


def test_the_library_passes_its_own_check(run):
    """Every hardware and scenario file that comes with foretrain."""
    outcome = run("check", ROOT / "hardware", ROOT / "scenarios", "--quiet")
    assert outcome == (0, "", "")


def test_show_prints_every_leaf_with_its_place(run, small):
    """Values as written; overrides and defaults say so."""
    lines = run("show", small, "--set", "plan.data=2").out.splitlines()
    places = dict(line.split("  # ") for line in (" ".join(line.split()).replace(" #", "  #") for line in lines))
    assert places["plan.sub_batch: 128"] == f"{small}:13:14"
    assert places["scaling.curve.alpha: 13.0"] == "scenarios/scaling/word-lm.yaml:7:10"
    assert places["plan.data: 2"] == "--set plan.data=2"
    assert places["plan.tensor: null"] == "default"


def test_show_as_json(run, small):
    """Leaves with file, line and column."""
    body = json.loads(run("show", small, "--json").out)
    leaves = {leaf["path"]: leaf for leaf in body["leaves"]}
    assert leaves["plan.sub_batch"] == {
        "path": "plan.sub_batch",
        "value": 128,
        "file": str(small),
        "line": 13,
        "column": 14,
    }
    assert leaves["plan.tensor"] == {"path": "plan.tensor", "value": None, "from": "default"}


def test_show_refuses_what_run_refuses(run, small):
    """A scenario that cannot be read is not shown."""
    outcome = run("show", small, "--set", "plan.daat=1")
    assert (outcome.code, outcome.out) == (2, "")


def test_scenarios_are_listed_with_their_descriptions(run):
    """Names as `run` takes them."""
    outcome = run("scenarios")
    assert outcome.code == 0
    assert any(line.startswith("  paper/word-lm  ") for line in outcome.out.splitlines())
    body = json.loads(run("scenarios", "--json").out)
    assert {"name", "description", "file", "question"} == set(body["scenarios"][0])


def test_scenarios_are_listed_by_the_question_they_answer(run):
    """Each folder has its question, which heads its scenarios once."""
    listed = json.loads(run("scenarios", "--json").out)["scenarios"]
    asked = {row["name"].partition("/")[0]: row["question"] for row in listed}
    assert set(asked) == {"runs", "today", "domains", "paper", "horizon"}
    assert all(question.endswith("?") for question in asked.values())
    lines = run("scenarios").out.splitlines()
    assert [line for line in lines if line and not line.startswith("  ")] == list(asked.values())


def test_schema_prints_one_object(run):
    """What an editor reads."""
    assert json.loads(run("schema").out)["title"] == "foretrain scenario"


def test_a_target_that_nothing_could_reach(run):
    """3e77 words are more than the Earth has atoms: exit 4; the other domains are not lost, wrong options are named."""
    outcome = run("project", "word-lm", "imagenet-resnet50", "--target", "0.25")
    assert (outcome.code, "extrapolated: word-lm" in outcome.out) == (0, True)
    outcome = run("project", "word-lm", "chinchilla", "--target", "1e-4")
    assert (outcome.code, outcome.out) == (4, "")
    assert "asks for 3.05e+77 words, more than the Earth has atoms" in outcome.err
    assert "is at or below the irreducible error 1.8172" in outcome.err
    outcome = run("project", "word-lm", "char-lm", "--target", "1.9e-3")
    assert (outcome.code, "char-lm  char" in outcome.out, "1.3e+50" in outcome.err) == (4, True, True)
    assert "--target: must be a positive number, got -1.0" in run("project", "word-lm", "--target", "-1").err
    outcome = run("run", "paper/word-lm", "--set", "target.error=0.3")
    assert (outcome.code, "target.error: asks for a model of" in outcome.err) == (2, True)
