"""Nothing given by a file, a name or a value steers the terminal or fakes a message, in any encoding."""

from __future__ import annotations

import csv
import io
import json
import re
import sys

import pytest

from sim.cli import process
from sim.cli.terminal import printable, safe
from sim.errors import Problem
from tests.files.conftest import SCENARIO

ATTACK = "\x1b[2J\x9b31m\u202eevil\r\nfake.yaml: scenario: ok"
SEEN = re.compile(r"[^\n\x20-\x7e\xa0-\u061b\u061d-\u200a\u2010-\u2027\u202f-\u205f\u206a-\ud7ff\ue000-\ufefe]")


@pytest.fixture
def hostile(tmp_path):
    """A scenario whose name, description and cluster carry controls."""
    path = tmp_path / "a.yaml"
    text = SCENARIO.replace("name: small", f"name: {json.dumps(ATTACK)}\ndescription: {json.dumps(ATTACK)}")
    path.write_text(text.replace("name: ring of four", f"name: {json.dumps(ATTACK)}"))
    return path


@pytest.mark.parametrize("command", ["run", "show", "check", "ops", "compare", "sweep"])
@pytest.mark.parametrize("as_json", [(), ("--json",)])
def test_controls_of_names_and_values_are_shown_escaped(run, hostile, command, as_json):
    """No control character but the newlines of the report itself, and no line that a value began."""
    more = {"compare": (hostile,), "sweep": ("--key", "plan.sub_batch", "--values", "16,32")}.get(command, ())
    outcome = run(command, hostile, *more, *as_json)
    assert outcome.code == 0
    assert SEEN.search(outcome.out + outcome.err) is None
    assert not any(line.startswith("fake.yaml") for line in (outcome.out + outcome.err).splitlines())


@pytest.mark.parametrize("arguments", [("run", ATTACK), (ATTACK,), ("run", "x", f"--{ATTACK}"), ("check", ATTACK)])
def test_controls_of_arguments_are_shown_escaped(run, arguments):
    """In messages of ours and of click's."""
    outcome = run(*arguments)
    assert outcome.code == 2
    assert SEEN.search(outcome.out + outcome.err) is None
    assert not any(line.startswith("fake.yaml") for line in outcome.err.splitlines())


def test_a_value_cannot_fake_a_second_message(run, hostile):
    """A problem is one line, whatever stands in the value."""
    outcome = run("run", hostile, "--set", f"plan.sub_batch={json.dumps(ATTACK)}")
    assert outcome.code == 2
    assert len(outcome.err.splitlines()) == 1


def test_printable_text_is_left_alone():
    """Letters of any script, and records without controls, are the same objects."""
    text = "Größe 模型 µs → ∞"
    record = Problem(text)
    assert printable(text) == text
    assert safe(record) is record
    assert safe([text, {"a": (text,)}]) == [text, {"a": (text,)}]
    assert safe(Problem("a\nb")) == Problem("a\\nb")


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "latin-1", "utf-8"])
@pytest.mark.parametrize("as_json", [(), ("--json",)])
def test_a_terminal_of_any_encoding_shows_the_answer(hostile, monkeypatch, encoding, as_json):
    """Bars become #, what a code page lacks becomes an escape; JSON stays the same object."""
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding=encoding))
    assert process.run(["run", str(hostile), *as_json]) == 0
    out = raw.getvalue().decode(encoding)
    if as_json:
        assert json.loads(out)["scenario"]["name"] == ATTACK
    else:
        assert ("#" in out) == (encoding != "utf-8")


def test_an_option_that_takes_one_value_is_refused_twice(run):
    """Which of the two was meant nobody knows; a flag may be repeated."""
    for arguments in (
        ("sweep", "paper/word-lm", "--key", "plan.data", "--key", "plan.tensor", "--values", "1"),
        ("run", "paper/word-lm", "--seed", "1", "--seed", "2"),
        ("collective", "dgx-a100-superpod", "--bytes", "1", "--bytes", "2"),
        ("hardware", "list", "--status", "shipped", "--status", "announced"),
        ("model", "gpt2", "--fused", "--unfused"),
    ):
        outcome = run(*arguments)
        assert (outcome.code, outcome.out) == (2, "")
        assert "given 2 times, it takes one value" in outcome.err
    assert run("schema", "--markdown", "--markdown").code == 0


def test_formats_of_a_comparison(run):
    """The same rows in every form."""
    pair = ("paper/case-study-4-data-parallel-512", "paper/case-study-3-data-parallel-1024")
    rows = list(csv.DictReader(io.StringIO(run("compare", *pair, "--format", "csv").out)))
    assert [row["case"] for row in rows] == list(pair)
    assert float(rows[1]["step_s"]) > float(rows[0]["step_s"])
    assert run("compare", *pair, "--format", "markdown").out.startswith("| case | devices |")
    assert run("compare", *pair, "--format", "json").out == run("compare", *pair, "--json").out
