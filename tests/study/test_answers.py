"""Every question from Python: the answers are those of the command line, as text, plain values, page and table."""

from __future__ import annotations

import json
from collections.abc import Callable

import pandas
import pytest
from click.testing import CliRunner, Result

import sim
from sim.answer import Answer
from sim.cli.commands import cli
from sim.scenario import SlowDevice
from sim.study.metrics import METRICS

NAME, SMALL = "paper/word-lm", ("cluster.devices=8",)
AXES = {"plan.sub_batch": [16, 32, -1]}
OPTIONS = ["--axis", "plan.sub_batch=16,32,-1"]


def foretrain(*arguments: str) -> Result:
    sets = [part for text in SMALL for part in ("--set", text)]
    return CliRunner().invoke(cli, [*arguments, *sets])


def small() -> sim.Scenario:
    return sim.load_scenario(NAME, SMALL)


QUESTIONS: dict[str, tuple[Callable[[], Answer], list[str]]] = {
    "run": (lambda: sim.simulate(small()), ["run", NAME]),
    "compare": (
        lambda: sim.compare(NAME, accelerators=["paper-2019", "t4"], sets=SMALL),
        ["compare", NAME, "--accelerator", "paper-2019", "--accelerator", "t4"],
    ),
    "sweep": (lambda: sim.sweep(NAME, AXES, sets=SMALL), ["sweep", NAME, *OPTIONS]),
    "explore": (
        lambda: sim.explore(NAME, AXES, sets=SMALL, objectives=["step_s", "memory_bytes"]),
        ["explore", NAME, *OPTIONS, "--objective", "step_s", "--objective", "memory_bytes"],
    ),
    "require": (
        lambda: sim.require(small(), "50 years", ["memory_bandwidth"]),
        ["require", NAME, "--deadline", "50 years", "--property", "memory_bandwidth"],
    ),
    "sensitivity": (
        lambda: sim.sensitivity(small(), "step_s", ["peak", "memory_bandwidth"]),
        ["sensitivity", NAME, "--metric", "step_s", "--property", "peak", "--property", "memory_bandwidth"],
    ),
}


@pytest.mark.parametrize("name", QUESTIONS)
def test_python_and_the_command_line_give_one_answer(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same text, the same JSON; the table has a row per row of the JSON."""
    monkeypatch.setattr("sim.study.require.PRECISION", 0.2)  # a handful of simulations
    ask, command = QUESTIONS[name]
    found, shown = ask(), foretrain(*command)
    assert str(found) == shown.stdout.rstrip("\n")
    plain = json.loads(foretrain(*command, "--json").stdout)
    assert json.loads(json.dumps(found.to_dict())) == plain
    frame = found.to_frame()
    assert isinstance(frame, pandas.DataFrame)
    listed = [part for part in plain.values() if isinstance(part, list) and part and isinstance(part[0], dict)]
    assert len(frame) == (len(listed[0]) if listed else 1)


def test_a_set_of_measurements_is_validated_as_on_the_command_line() -> None:
    """The same text and the same JSON; a row of the table per row that was simulated."""
    found, shown = sim.validate("epochs"), CliRunner().invoke(cli, ["validate", "epochs"])
    assert str(found) == shown.stdout.rstrip("\n")
    plain = json.loads(CliRunner().invoke(cli, ["validate", "epochs", "--json"]).stdout)
    assert found.to_dict() == plain
    assert len(found.to_frame()) == sum(part["row_count"] for part in plain["sets"])


def test_a_study_of_a_record_is_that_of_its_file() -> None:
    """Designs are laid over the record as over the file: the same figures, the same designs without one."""
    here, file = sim.sweep(small(), AXES), sim.sweep(NAME, AXES, sets=SMALL)
    assert [o.metrics for o in here.outcomes] == [o.metrics for o in file.outcomes]
    assert [bool(o.reason) for o in here.outcomes] == [False, False, True]
    assert "plan.sub_batch" in here.outcomes[2].reason


def test_a_table_has_si_numbers() -> None:
    """The columns of a run are the metrics; its figures those of the result."""
    result = sim.simulate(small())
    frame = result.to_frame()
    assert list(frame.columns) == ["name", *METRICS]
    assert frame.step_s[0] == result.step.time_s


def test_a_notebook_shows_text_as_it_is() -> None:
    """No markup of a name is markup of the page."""
    html = sim.simulate(small().with_("name", "<script>alert(1)</script>"))._repr_html_()
    assert "<script>" not in html
    assert "&lt;script&gt;" in html


@pytest.mark.parametrize(
    ("path", "value", "read"),
    [
        ("plan.tensor", 8, lambda s: s.plan.tensor),
        ("cluster.devices", 64, lambda s: s.cluster.devices),
        ("objective", "energy", lambda s: s.objective),
        ("accelerator.compute.fp32.peak_flops", 3e13, lambda s: s.accelerator.compute["fp32"].peak_flops),
        ("training.slow_devices", (SlowDevice(0, 2.0),), lambda s: s.training.slow_devices),
    ],
)
def test_a_field_is_changed_by_its_path(path: str, value: object, read: Callable[[sim.Scenario], object]) -> None:
    changed = small().with_(path, value)
    assert read(changed) == value


def test_a_quantity_and_a_name_of_a_file_will_do() -> None:
    """As in YAML: with the unit, without the unit in the name, the accelerator below the cluster."""
    changed = small().with_("cluster.accelerator.memory.capacity", "96 GiB")
    assert changed.accelerator.memory.capacity_bytes == 96 * 2**30
    assert small().accelerator.memory.capacity_bytes != 96 * 2**30


@pytest.mark.parametrize(
    ("path", "value", "rule"),
    [
        ("plan.tp", 8, 'did you mean "tensor"'),
        ("plan.tensor", -1, "plan.tensor: must be at least 1"),
        ("accelerator.memory.bandwidth", "4 TB", "must be bandwidth"),
        ("accelerator", "h100-sxm", "load_accelerator"),
        ("accelerator.compute.fp33.peak_flops", 1.0, "no such part"),
        ("name.first", "x", "no such part"),
    ],
)
def test_a_wrong_path_or_value_is_refused_with_its_rule(path: str, value: object, rule: str) -> None:
    with pytest.raises(sim.InputError, match=rule):
        small().with_(path, value)


def test_hardware_is_loaded_by_name_and_laid_into_a_scenario() -> None:
    chip, cluster = sim.load_accelerator("t4"), sim.load_cluster("dgx-h100")
    changed = small().with_("accelerator", chip).with_("cluster", cluster)
    assert (changed.accelerator, changed.cluster.devices) == (chip, cluster.devices)
