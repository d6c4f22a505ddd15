"""Bad input given to `run`: each mistake with its message and exit code, from the file to the simulation."""

from __future__ import annotations

import pytest

from tests.files.conftest import SCENARIO

GRAPH = """\
  name: graph
  accelerator: paper-2019
  graph:
    edges:
"""


@pytest.fixture
def small(tmp_path):
    """A valid scenario that fits four devices."""
    path = tmp_path / "a.yaml"
    path.write_text(SCENARIO)
    return path


def with_graph(path, *ends):
    """The scenario on a graph of these links."""
    head, _, rest = SCENARIO.partition("  name: ring of four")
    edges = "".join(f"      - {{ends: {list(pair)}, bandwidth: 1 GB/s, latency: 1 us}}\n" for pair in ends)
    path.write_text(head + GRAPH + edges + rest[rest.index("plan:") :])
    return path


def test_a_valid_scenario_runs(run, small):
    """The mistakes below are the only ones."""
    outcome = run("run", small, "--quiet")
    assert (outcome.code, outcome.err) == (0, "")


@pytest.mark.parametrize(
    ("wrong", "right", "message"),
    [
        ("sub_batch:", "sub_bach:", '13:3: plan.sub_bach: unknown key (did you mean "sub_batch"?)'),
        ("25 MB", "25", '15:11: framework.bucket: needs a unit, written like "80 GiB" or "40 GB", got 25'),
        ("25 MB", "25 GB/s", "15:11: framework.bucket: must be bytes"),
        ("25 MB", "-25 MB", '15:11: framework.bucket: must be positive, got "-25 MB"'),
        ("25 MB", "nan MB", '15:11: framework.bucket: must be finite, got "nan MB"'),
        ("25 MB", "inf MB", '15:11: framework.bucket: must be finite, got "inf MB"'),
        ("56 GB/s", "56 Gbps", "(write Gb/s)"),
        ("name: small", "name: small\nname: large", "2:1: name: duplicate key (first at line 1)"),
        ("size: 4", "size: 0", "11:42: cluster.levels.0.size: must be positive, got 0"),
        ("size: 4", "size: 5000000", "cluster.devices: must be at most 4,194,304"),
        ("plan:", "target: {error: 9.3}\nplan:", "12:17: target.error: already reached by guessing, got 9.3"),
        ("hidden: 512", "hidden: -1", "workload.sizes.hidden: must be at least 1, got -1"),
        ("plan:", "plan:\n  data: 3", "plan.data"),
    ],
)
def test_a_mistake_in_the_file_is_told_where_it_stands(run, small, wrong, right, message):
    """`file:line:col: path: rule, got value (hint)`, exit 2, nothing on stdout."""
    small.write_text(SCENARIO.replace(wrong, right, 1))
    outcome = run("run", small)
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.err.startswith(f"{small}:")
    assert message in outcome.err


@pytest.mark.parametrize(
    ("ends", "message"),
    [
        ([(0, 1), (2, 3)], "ranks 2–3 cannot be reached from ranks 0–1"),
        ([(0, 3)], "without any link: devices 1–2"),
    ],
)
def test_a_graph_that_does_not_join_its_devices_is_bad_input(run, small, ends, message):
    """Disconnected, and a device without links."""
    outcome = run("run", with_graph(small, *ends))
    assert (outcome.code, outcome.out) == (2, "")
    assert message in outcome.err


def test_a_target_at_or_below_the_irreducible_error_is_unreachable(run, small):
    """Exit 4, with target and floor."""
    outcome = run("run", small, "--set", "scaling.curve.irreducible=2.48")
    assert outcome.code == 4
    assert outcome.err.endswith("(target 2.48, floor 2.48)\n")


def test_a_model_that_does_not_fit_is_infeasible(run, small):
    """Exit 3, with need, capacity and levers."""
    outcome = run("run", small, "--set", "accelerator.memory.capacity=100 MB")
    assert (outcome.code, outcome.out) == (3, "")
    first, *levers = outcome.err.splitlines()
    assert first.startswith("infeasible: ")
    assert "GiB, has 0.1 GiB" in first
    assert levers


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("none.yaml", None, "none.yaml: no such file"),
        ("text.yaml", "a: [", "text.yaml:2:1: is not YAML"),
        ("bytes.yaml", "\udcff", "bytes.yaml: is not YAML: not UTF-8 text"),
        ("list.yaml", "- 1", "list.yaml:1:1: must be a mapping, got a list"),
        ("bomb.yaml", "bomb", "an alias bomb?"),
        (".", None, "is a directory, a YAML file is needed"),
    ],
)
def test_what_is_no_scenario_file_is_bad_input(run, tmp_path, monkeypatch, name, content, message):
    """File not found, not YAML, a YAML bomb, a directory."""
    monkeypatch.chdir(tmp_path)
    if content == "bomb":
        levels = (f"a{i}: &a{i} [{','.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 11))
        content = "\n".join(["a0: &a0 [x,x,x,x,x,x,x,x,x,x]", *levels])
    if content is not None:
        (tmp_path / name).write_bytes(content.encode("utf-8", "surrogateescape"))
    outcome = run("run", name)
    assert (outcome.code, outcome.out) == (2, "")
    assert message in outcome.err


def test_a_set_on_a_path_that_does_not_exist_is_bad_input(run, small):
    """The message names the override."""
    outcome = run("run", small, "--set", "plan.daat=4")
    assert (outcome.code, outcome.err) == (2, '--set plan.daat=4: plan.daat: unknown key (did you mean "data"?)\n')


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("workload.numerics.compute=fp4", "workload.numerics.compute: paper-2019 does not compute in this format"),
        ("plan.tensor=2", "plan.tensor: lstm_lm has no tensor parallelism, got 2"),
        ("accelerator.memory.bandwidth=1e-300 B/s", "must lie between 1e-24 and 1e+30 in SI units"),
    ],
)
def test_what_a_lower_room_finds_is_told_by_the_scenario_s_name_for_it(run, small, setting, message):
    """The device knows a format and the model a degree; the user knows fields and where they were set."""
    outcome = run("run", small, "--set", setting)
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.err.startswith(f"--set {setting}: ")
    assert message in outcome.err


def test_a_wrong_target_is_not_told_as_a_missing_domain(run, small):
    """A target with a unit, where there is no scaling domain: one problem, not two."""
    small.write_text("\n".join(line for line in SCENARIO.splitlines() if not line.startswith("scaling:")))
    outcome = run("run", small, "--set", "target.units=300 GB")
    assert outcome.err == '--set target.units=300 GB: target.units: must be a number, got "300 GB"\n'


def test_a_place_that_cannot_be_written_is_no_bug(run, small, tmp_path):
    """A file where the run folder should be: its name and the reason, exit 2."""
    (tmp_path / "taken").write_text("")
    outcome = run("run", small, "--trace", tmp_path / "none" / "trace.json")
    assert outcome.code == 2
    assert outcome.err == f"{tmp_path}/none/trace.json: cannot be written: no such folder\n"


def test_footprint_of_no_number_of_samples(run):
    """NaN passes an option's range."""
    outcome = run("footprint", "gpt2", "--samples", "nan")
    assert (outcome.code, outcome.err) == (2, "samples: must be finite, got nan\n")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("sweep", "today/bert", "--axis", "plan.data=1,2", "--sort", "zzz"), "--sort: is no metric, got zzz"),
        (("sweep", "today/bert", "--axis", "plan.data=1,2", "--export", "x.foo"), "--export: must end in .csv"),
        (("sweep", "today/bert", "--axis", "plan.data=1,2", "--samples", "5"), "--samples: has no effect on a grid"),
        (("compare", "today/bert", "today/dlrm", "--along", "plan.data=8", "--metric", "z"), "--metric: is no metric"),
        (("place", "today/bert", "--devices", "v100-sxm2-16gb", "--link", "3 furlongs"), "--link: must be bandwidth"),
        (("place", "today/bert", "--devices", "v100-sxm2-16gb", "--latency", "-3 us"), "--latency: must be positive"),
        (("sensitivity", "today/bert", "--samples", "4"), "--samples goes with --sobol"),
        (("sensitivity", "today/bert", "--sobol", "--step", "2"), "--step goes without --sobol"),
        (("sensitivity", "today/bert", "--sobol", "--span", "-1"), "--span: must be above 1"),
        (("validate", "llm_steps", "--rows", "rows.csv"), "rows.csv: has no rows"),
        (
            ("run", "today/bert", "--set", "accelerator.power.cap=1 W"),
            "cluster.accelerator.power.cap: must be at least",
        ),
        (("run", "today/bert", "--set", "accelerator.power.idle=1 kW"), "accelerator.power.idle: must be at most the"),
        (
            ("run", "today/bert", "--set", "cluster.devices=8 furlongs"),
            "cluster.devices: must be a whole number or auto",
        ),
        (("hardware", "new", "--area", "600mm2", "--power", "1 furlong"), "--power: must be watts"),
        (("hardware", "new", "--area", "600mm2"), "--power: is required\n--stacks: is required\n"),
        *[
            ((*command, "scenario.yaml"), f"scenario.yaml:1:1: is a file of the kind 'scenario', no {kind}")
            for command, kind in (
                (("validate",), "validation set"),
                (("collective",), "cluster"),
                (("project",), "scaling domain"),
                (("hardware", "show"), "accelerator"),
            )
        ],
    ],
)
def test_a_refusal_names_its_option(run, arguments, says, tmp_path, monkeypatch):
    """Before anything is simulated: nothing on stdout."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rows.csv").write_text("id,layers\n")
    (tmp_path / "scenario.yaml").write_text("extends: today/bert\nplan: {data: 8}\n")
    outcome = run(*arguments)
    assert (outcome.code, outcome.out) == (2, "")
    assert says in outcome.err
