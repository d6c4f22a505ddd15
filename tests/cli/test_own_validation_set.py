"""`foretrain validate` of a user's own set: anywhere on disk, other rows through it, mistakes told with their place."""

from __future__ import annotations

import json
import math

import pytest

from sim.files import load_scenario
from sim.simulation import simulate
from sim.validation.published import load_validation_set
from sim.validation.runs import FIELDS, outcome_of
from sim.validation.sets import set_files
from sim.validation.validation import requests

SET = """\
name: mine
quantity: run
csv: mine.csv
group: machine
measured:
  - {column: step_s, field: step_time_s}
  - {column: mfu_pct, field: mfu, scale: 0.01}
template:
  target: {steps: 1}
  workload:
    family: transformer
    sizes: {sequence: 2048, vocabulary: 51200}
    numerics: {compute: bf16, activations: bf16, weights: bf16, gradients: fp32, attention: flash}
  cluster: dgx-a100-superpod
columns:
  layers: workload.sizes.depth
  hidden: workload.sizes.hidden
  heads: workload.sizes.heads
  gpus: cluster.devices
  tp: plan.tensor
  batch: plan.global_batch
  mbs: plan.sub_batch
rules:
  - {when: {tp: "[2-9]"}, set: {plan.sequence_parallel: true}}
  - {when: {mbs: ""}, set: {plan.sub_batch: 1}, assume: "micro-batch 1"}
"""

ROWS = """\
id,machine,layers,hidden,heads,gpus,tp,batch,mbs,step_s,mfu_pct
a,one,24,2048,16,8,1,64,4,1.3,
b,one,24,2304,24,8,2,64,4,,40
c,two,24,2304,24,16,2,64,,1.2,
wrong,two,24,2304,24,16,3,64,,1.2,
empty,two,24,2304,24,16,2,64,,,
"""


@pytest.fixture
def mine(tmp_path):
    """A set beside its rows."""
    path = tmp_path / "mine.yaml"
    path.write_text(SET)
    (tmp_path / "mine.csv").write_text(ROWS)
    return path


def body_of(run, *arguments):
    outcome = run("validate", *arguments, "--json", "--quiet")
    assert (outcome.code, outcome.err) == (0, "")
    return json.loads(outcome.out)


def test_every_set_and_row_has_its_figures(run, mine):
    """The keys of the issue; rows with an assumption say which, rows that cannot be expressed say why."""
    one, two = body_of(run, mine)["sets"]
    for found in (one, two):
        errors = ("mean_abs_error", "median_abs_error", "p90_abs_error", "bias", "null_mean_abs_error")
        assert all(math.isfinite(found[key]) for key in errors)
        assert {"name", "rows", "skill"} <= set(found)
    assert [row["id"] for row in one["rows"]] == ["a", "b"]
    assert [(row["id"], row["assumptions"]) for row in two["rows"]] == [("c", ["micro-batch 1"])]
    assert {s["id"] for s in two["skipped"]} == {"wrong", "empty"}
    assert any("plan.tensor" in s["reason"] for s in two["skipped"])
    a = one["rows"][0]
    assert a["error"] == pytest.approx(a["predicted"] / a["measured"] - 1)


def test_the_text_counts_what_is_left_out(run, mine):
    """Never dropped in silence."""
    text = run("validate", mine, "--quiet").out
    assert "not expressed: 1 of two: plan.tensor" in text
    assert "not expressed: 1 of two: no measured value" in text


def test_other_rows_run_through_the_same_rules(run, mine, tmp_path):
    """`--rows`: a subset gives the same predictions."""
    other = tmp_path / "other.csv"
    other.write_text("\n".join(ROWS.splitlines()[:3]) + "\n")
    (only,) = body_of(run, mine, "--rows", other)["sets"]
    full = body_of(run, mine)["sets"][0]
    assert [row["predicted"] for row in only["rows"]] == [row["predicted"] for row in full["rows"]]


def test_the_plot_holds_every_row(run, mine, tmp_path):
    """A page that needs no network."""
    page = tmp_path / "p.html"
    assert run("validate", mine, "--plot", page, "--quiet").code == 0
    text = page.read_text(encoding="utf-8")
    assert all(f"{name}: " in text for name in "abc")
    assert "Predicted against measured" in text


@pytest.mark.parametrize(
    ("wrong", "right", "message"),
    [
        ("quantity: run", "quantity: runs", ":2:11: quantity: must be one of run, collective"),
        ("csv: mine.csv", "csv: none.csv", "none.csv: no such file"),
        ("  layers: work", "  layrs: work", ":16:3: columns.layrs: no such column, got 'layrs' (did you mean"),
        ('"[2-9]"', '"[2-9"', ":24:17: rules.0.when.tp: is not a regular expression"),
        ("column: step_s", "column: step", ":6:14: measured.0.column: no such column, got 'step' (did you mean"),
        ("field: step_time_s", "field: step_time", ":6:29: measured.0.field: no such figure, got 'step_time'"),
        ("when: {tp:", "when: {tpp:", ":24:13: rules.0.when.tpp: no such column"),
        ("group: machine", "group: mach", ":4:8: group: no such column, got 'mach' (did you mean \"machine\"?)"),
        ("rules:", "rulez:", "rulez: unknown key"),
        ("set: {plan.seq", "sett: {plan.seq", ":24:27: rules.0.sett: unknown key"),
    ],
)
def test_a_mistake_in_a_set_is_told_where_it_stands(run, mine, wrong, right, message):
    """Exit 2, file:line:column, nothing simulated."""
    assert wrong in SET
    mine.write_text(SET.replace(wrong, right, 1))
    outcome = run("validate", mine, "--quiet")
    assert (outcome.code, outcome.out) == (2, "")
    assert message in outcome.err


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "is empty"),
        ("id,machine\na,b,c\n", "no such column"),
        (ROWS + "x,one,24,2048,16,8,1,64,4,1.3,,7\n", "mine.csv:7:1: has more cells than the header"),
    ],
)
def test_a_wrong_table_is_bad_input(run, mine, content, message):
    """The CSV is named, with its line."""
    mine.with_suffix(".csv").write_text(content)
    outcome = run("validate", mine, "--quiet")
    assert outcome.code == 2
    assert message in outcome.err


def test_unknown_sets_and_rows_are_bad_input(run, mine):
    """The sets there are, are named."""
    assert "llm_steps" in run("validate", "llm_step").err
    assert "no such file" in run("validate", mine, "--rows", mine.parent / "no.csv").err


def test_the_sets_of_the_library_name_columns_they_have():
    """Every one loads."""
    for path in set_files().values():
        assert load_validation_set(path).rows


def test_the_figures_a_set_may_name_are_those_a_run_gives():
    """`FIELDS` and the outcome say the same."""
    assert tuple(outcome_of(simulate(load_scenario("paper/word-lm"), levers=False)).fields) == FIELDS


OVER = """\
name: mine too
extends: mine.yaml
without: {b: "measured on a shared machine"}
require: [accelerator]
rules:
  - {when: {machine: "one"}, set: {accelerator: a100-sxm4-80gb}}
"""


def test_a_set_over_another_leaves_rows_out_and_simulates_no_unknown_chip(run, mine, tmp_path):
    """Its rules come after those below; a row left out says why; one whose chip no rule names is not simulated."""
    over = tmp_path / "over.yaml"
    over.write_text(OVER)
    whole, (one, two) = body_of(run, mine)["sets"], body_of(run, over)["sets"]
    assert [row["id"] for row in one["rows"]] == ["a"]
    assert one["rows"][0]["predicted"] == whole[0]["rows"][0]["predicted"]
    assert one["skipped"] == [{"id": "b", "reason": "measured on a shared machine"}]
    assert {s["reason"] for s in two["skipped"]} == {"no rule names its accelerator"}


@pytest.mark.parametrize(
    ("wrong", "right", "message"),
    [
        ("extends: mine.yaml", "extends: nine.yaml", "extends: no such validation set"),
        ("extends: mine.yaml", "extends: over.yaml", "extends: extends itself"),
        ("{b: ", "{bb: ", "without.bb: no such row"),
        ("[accelerator]", "[acelerator]", "require.0: must be one of accelerator"),
    ],
)
def test_mistakes_of_a_set_over_another(run, mine, tmp_path, wrong, right, message):
    """Each with its place."""
    over = tmp_path / "over.yaml"
    over.write_text(OVER.replace(wrong, right))
    outcome = run("validate", over, "--quiet")
    assert outcome.code == 2
    assert message in outcome.err


def test_parts_of_every_row_and_sums_by_columns(run, mine):
    """The parts of the step add up to it, the kinds of memory to the memory; rows are summed up by cells."""
    found = body_of(run, mine, "--by", "machine,gpus")
    row = found["sets"][0]["rows"][0]
    assert sum(row["time_parts_s"].values()) == pytest.approx(row["predicted"])
    assert sum(row["memory_bytes_by_kind"].values()) == pytest.approx(row["memory_predicted_bytes"])
    assert {part["name"]: part["row_count"] for part in found["by"]} == {"one, 8": 2, "two, 16": 1}
    refused = run("validate", mine, "--by", "machin", "--quiet")
    assert (refused.code, 'did you mean "machine"?' in refused.err) == (2, True)


def test_rows_that_ran_and_do_not_fit_are_told(run, mine, tmp_path):
    """With what is most often missing; a cell `null` is empty."""
    other = tmp_path / "other.csv"
    other.write_text(
        "id,machine,layers,hidden,heads,gpus,tp,batch,mbs,step_s,mfu_pct\nd,one,96,8192,64,8,8,8,null,9,\n"
    )
    text = run("validate", mine, "--rows", other, "--quiet").out
    assert "1 of 1 rows that ran are judged not to fit: recomputation, sharding or offload not stated?" in text


def test_what_moves_a_set_and_the_timeline_of_a_row(run, mine, tmp_path):
    """Less memory bandwidth is slower; the timeline of one row is a file that Perfetto reads."""
    outcome = run("validate", mine, "--sensitivity", "--json", "--quiet")
    moved = {part["group"]: part["change"] for part in json.loads(outcome.out)["sensitivity"]}
    assert set(moved) == {"one", "two"}
    assert all(change["peak"] < 0 and change["memory_capacity"] == 0 for change in moved.values())
    trace = tmp_path / "row.json"
    assert run("validate", mine, "--row", "a", "--trace", trace, "--quiet").code == 0
    assert json.loads(trace.read_text())["traceEvents"]
    assert run("validate", mine, "--trace", trace, "--quiet").code == 2


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (
            '  - {when: {machine: "one"}, set: {accelerator: h100-sxm5-80gb}}\nrequire: [accelerator]\n',
            "accelerator (two)",
        ),
        ("require: [cluster, framework]\n", "cluster, framework"),
    ],
)
def test_a_row_that_no_rule_gives_a_chip_is_left_out(mine, given, reason):
    """Not simulated on the template's, with the reason beside it."""
    mine.write_text(SET + given)
    text = (mine.parent / "mine.csv").read_text().replace("id,machine", "id,accelerator,machine")
    lines = text.splitlines()
    rows = [lines[0], *(line.replace(",", f",{line.split(',')[1]},", 1) for line in lines[1:])]
    (mine.parent / "mine.csv").write_text("\n".join(rows) + "\n")
    left = [request.skip for request in requests(load_validation_set(mine)) if "no rule names" in request.skip]
    assert left
    assert all(f"no rule names its {reason}" in skip for skip in left)


def test_rules_that_tell_chips_apart_must_know_the_chip(mine):
    """A chip in a column of its own needs no `require`: an unknown one is never simulated as the template's."""
    mine.write_text(SET + '  - {when: {accelerator: "H100"}, set: {accelerator: h100-sxm5-80gb}}\n')
    text = (mine.parent / "mine.csv").read_text().replace("id,machine", "id,accelerator,machine")
    (mine.parent / "mine.csv").write_text(text.replace("a,one", "a,H100,one").replace("b,one", "b,Z9000,one"))
    found = {request.id: request.skip for request in requests(load_validation_set(mine))}
    assert found["a"] == ""
    assert found["b"] == "no rule names its accelerator (Z9000)"
