"""The controls of a design: which field of a scenario each sets, and what it offers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

from sim.files.hardware import list_accelerators, list_clusters
from sim.files.models import list_models
from sim.plan.records import Plan, Sharding
from sim.records import dataclass
from sim.scenario import Objective, Scenario
from sim.workload.records import Recompute

TARGETS: Final = ("error", "samples", "units", "steps")
_LESS: Final = (0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
FACTORS: Final = (*_LESS, 1.0, 1.1, 1.25, 1.5, 1.75, 2.0, 2.5, 3.0, 4.0, 5.0, 7.0, 10.0)
"""Positions of a slider: its middle is the value that the files say."""
MIDDLE: Final = FACTORS.index(1.0)


@dataclass(frozen=True, slots=True)
class Control:
    """One control: the field it sets; `options` where it offers a choice, else it takes a text."""

    name: str
    label: str
    path: str
    options: Callable[[], Sequence[str]] | None = None
    group: str = "what"
    hint: str = ""


CONTROLS: Final = (
    Control("workload", "Model", "workload", list_models),
    Control("target_kind", "Target", "", lambda: TARGETS),
    Control("target_value", "of", "", hint="2e12"),
    Control("cluster", "Cluster", "cluster", list_clusters, "on"),
    Control("accelerator", "Accelerator", "accelerator", list_accelerators, "on"),
    Control("devices", "Devices", "cluster.devices", None, "on", "1024, or auto"),
    Control("objective", "Objective", "objective", lambda: tuple(Objective), "plan"),
    Control("search", "Layout", "plan.search", lambda: ("true", "false"), "plan"),
    *(
        Control(axis, axis.replace("_", " ").capitalize(), f"plan.{axis}", None, "plan")
        for axis in ("data", "tensor", "pipeline", "context", "expert", "sub_batch", "global_batch")
    ),
    Control("sharding", "Sharding", "plan.sharding", lambda: tuple(Sharding), "plan"),
    Control("recompute", "Recompute", "plan.recompute", lambda: tuple(Recompute), "plan"),
)
WORDS: Final = {("search", "true"): "searched", ("search", "false"): "as given"}
_PATHS: Final = {control.path: control.name for control in CONTROLS if control.path}


def sets_of(values: Mapping[str, object], others: str) -> tuple[str, ...]:
    """The overrides that controls say, and those written line by line; a control that is left empty says nothing."""
    said = {name: str(value).strip() for name, value in values.items() if value is not None and str(value).strip()}
    kind, amount = said.get("target_kind"), said.get("target_value")
    target = [f"target.{name}={amount if name == kind else 'null'}" for name in TARGETS] if kind and amount else []
    named = [f"{control.path}={said[control.name]}" for control in CONTROLS if control.path and control.name in said]
    return (*named, *target, *(line for text in others.splitlines() if (line := text.strip())))


def values_of(sets: Iterable[str]) -> tuple[dict[str, str], str]:
    """What the controls show for such overrides, and the lines that none of them sets."""
    values, rest = dict[str, str](), []
    for text in sets:
        path, _, value = text.partition("=")
        kind = path.removeprefix("target.")
        if path in _PATHS and _PATHS[path] not in values:
            values[_PATHS[path]] = value
        elif path != kind and kind in TARGETS and "target_kind" not in values and value != "null":
            values |= {"target_kind": kind, "target_value": value}
        elif path == kind or kind not in TARGETS or value != "null":
            rest.append(text)
    return values, "\n".join(rest)


def shown_of(scenario: Scenario, plan: Plan | None) -> dict[str, str]:
    """What stands where a control is left empty: the value the scenario has, or that was chosen for it."""
    target = {name: value for name in TARGETS if (value := getattr(scenario.target, name)) is not None}
    found: dict[str, object] = {
        "workload": scenario.workload.sizes.get("name") or scenario.workload.family,
        "target_kind": next(iter(target), "error" if scenario.scaling else "none"),
        "target_value": next((f"{value:g}" for value in target.values()), ""),
        "cluster": scenario.cluster.name,
        "accelerator": scenario.accelerator.name,
        "devices": "auto" if scenario.sizes_open else scenario.cluster.devices,
        "objective": scenario.objective,
        "search": WORDS["search", "true" if scenario.plan.search else "false"],
    }
    laid = scenario.plan if plan is None else plan
    found |= {control.name: getattr(laid, control.name) for control in CONTROLS if hasattr(laid, control.name)}
    return {control.name: "" if (value := found.get(control.name)) is None else str(value) for control in CONTROLS}


def factor_at(place: object) -> float:
    """The factor of a slider's position; one off the scale is its end."""
    number = int(float(str(place))) if place is not None else MIDDLE
    return FACTORS[min(max(number, 0), len(FACTORS) - 1)]


def place_of(factor: float) -> int:
    """The position nearest to a factor."""
    return min(range(len(FACTORS)), key=lambda place: abs(FACTORS[place] / factor - 1.0))
