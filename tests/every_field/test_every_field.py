"""No dead input: every field of every record, given a legal other value where it counts, changes the answer.

Numbers, choices and flags must change what is computed: the echo of the plan, the names and the sources is left out.
Texts (names, sources, dates) and grades (confidence, status) must be shown.  A record counts by its fields.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Final

from sim.axes import Axes
from sim.device.generation import Generation
from sim.engine.feed.request import InputData
from sim.errors import InputError
from sim.fields import ListOf, MappingOf, OneOf, RecordOf, Text, records_below, statements
from sim.files.budget import BudgetFile, read_file
from sim.files.clusters import ClusterFile
from sim.files.fields import read
from sim.files.hardware import AcceleratorFile
from sim.files.loader import Node, parse
from sim.files.scenario import READ, build, document_of, resolved
from sim.files.yaml_text import yaml_text
from sim.network.records import LinkType
from sim.network.surroundings import Host, Storage
from sim.plan.preset import FrameworkFile
from sim.plan.speedups.request import SpeedupRequest
from sim.report.hardware import accelerator_json, cluster_row
from sim.report.projection import to_json as projection_json
from sim.report.run import to_json
from sim.scaling import Domain, project
from sim.simulation import simulate
from sim.study.projection import Projected
from sim.workload.registry import FAMILIES
from tests.every_field import situations as given
from tests.every_field.walk import DROPPED, Place, Tree, changed, counts, others, places

CHIP, CLUSTER = ("cluster", "accelerator"), ("cluster",)
ROOTS: Final[dict[tuple[str | int, ...], type]] = {
    **{(key,): cls for key, cls in READ.items()},
    CLUSTER: ClusterFile,
    CHIP: AcceleratorFile,
    ("cluster", "host"): Host,
    ("cluster", "storage"): Storage,
    ("cluster", "levels", 0, "link"): LinkType,
    ("cluster", "levels", 1, "link"): LinkType,
    ("training", "input"): InputData,
}
GRADES: Final = ("confidence", "status")


def of_scenario(levers: bool = False) -> Callable[[Tree], Any]:
    """What `run` computes: no echo of the input."""

    def answer(tree: Tree) -> Any:
        body = to_json(simulate(build(document_of(tree, "scenario")), levers=levers))
        body["plan"] = {"search": body["plan"]["search"], "choice": body["plan"]["sub_batch_choice"]}
        del body["scenario"], body["provenance"]["evidence"], body["provenance"]["sources"]
        return body

    return answer


def shown(tree: Tree) -> Any:
    """All that `run`, `hardware show` and `project` print of a scenario."""
    scenario = build(document_of(tree, "scenario"))
    chip = read(AcceleratorFile, Node(parse(yaml_text(resolved(document_of(tree, "s")))).at(*CHIP).value, None))
    domain = scenario.scaling
    told = projection_json([Projected(domain, project(domain))]) if domain else None
    return to_json(simulate(scenario, levers=False)), accelerator_json(chip), cluster_row(scenario.cluster), told


PLAIN: Final = of_scenario()


@dataclass(frozen=True)
class Situation:
    """A tree, the parts of it that are walked, values to try first, and what answers."""

    tree: Tree
    parts: tuple[str, ...]
    tries: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    answer: Callable[[Tree], Any] = PLAIN
    roots: Mapping[tuple[str | int, ...], type] = field(default_factory=lambda: ROOTS)


def walk(situation: Situation, live: set[str]) -> dict[str, str]:
    """Fields that do not count here, with what was tried; those that do are added to `live`."""
    dead: dict[str, str] = {}
    base, told, whole = situation.answer(situation.tree), None, "cluster" in situation.tree
    for root, cls in situation.roots.items():
        if ".".join(map(str, root)) not in situation.parts:
            continue
        for place in places(cls, situation.tree, root):
            if place.name in live or holds_records(place):
                continue
            values = (*situation.tries.get(place.name, ()), *others(place, situation.tree))
            if place.name in REFUSED and refused(place, situation, values):
                live.add(place.name)
                continue
            label = isinstance(place.statement.kind, Text) or place.statement.name in GRADES
            if label and whole and told is None:
                told = shown(situation.tree)
            answer, before = (shown, told) if label and whole else (situation.answer, base)
            if why := counts(place, situation.tree, values, answer, before):
                dead[place.name] = why
            else:
                live.add(place.name)
    return {name: why for name, why in dead.items() if name not in live}


REFUSED: Final = (
    "Target.metric", "LearningCurve.best_guess", "PublishedInput.sub_batch", "PublishedInput.peak_flops",
    "PublishedInput.bandwidth", "Dlrm.width", "FailureRequest.process",
    "FrameworkFile.name", "Limit.key", "Limit.allowed",
)  # fmt: skip
"""Fields that must agree with others: no other value is taken."""


def refused(place: Place, situation: Situation, values: Iterable[Any]) -> bool:
    """Whether another value is bad input."""
    for value in values:
        if value is DROPPED:
            continue
        try:
            situation.answer(changed(situation.tree, place.path, value))
        except InputError:
            return True
    return False


def holds_records(place: Place) -> bool:
    """Whether the field holds records, which count by their own fields."""
    kind = place.statement.kind
    kinds = kind.kinds if isinstance(kind, OneOf) else (kind,)
    inner = [part for one in kinds for part in (one.parts if isinstance(one, ListOf) else (one,))]
    inner = [one.value if isinstance(one, MappingOf) else one for one in inner]
    return any(isinstance(one, RecordOf) for one in inner)


LINKS = ("cluster.levels.0.link", "cluster.levels.1.link")
STEPS = {"target": {"steps": 1000}, "training": {}, "framework": {}}
NO_DEGREES = {"tensor": None, "pipeline": None, "data": None}
LEVERS = of_scenario(levers=True)
SITUATIONS: dict[str, Situation] = {
    "a step": Situation(
        given.scenario(given.LANGUAGE, **STEPS),
        ("plan", "framework", "workload", "cluster", "cluster.accelerator", "training", *LINKS),
        {
            "PlanRequest.stage_layers": ([3, 5],),
            "Framework.name": ("megatron-core",),
            "PowerGroup.cap": ("200 W",),
            "LevelGroup.link": ("nvlink3",),
        },
    ),
    "degrees left open": Situation(
        given.scenario(given.LANGUAGE, plan=NO_DEGREES, **STEPS),
        ("plan", "framework", "cluster"),
        {
            "ClusterFile.devices": (16,),
            "LevelGroup.size": (2,),
            "PlanRequest.order": (["pipeline", "tensor", "context", "data"],),
        },
    ),
    "a loss law": Situation(
        given.scenario(given.LANGUAGE, given.LAWS, plan=NO_DEGREES),
        ("target", "scaling", "training"),
    ),
    "errors of a loss law": Situation(
        given.scenario(given.LANGUAGE, given.LAWS, plan=NO_DEGREES), ("scaling", "training"), answer=LEVERS
    ),
    "a law of Kaplan's form": Situation(
        given.scenario(
            given.LANGUAGE,
            given.LAWS,
            plan=NO_DEGREES,
            target={"error": 5.0},
            scaling={"loss": {"irreducible": None, "errors": None}},
        ),
        ("scaling",),
    ),
    "repeated data": Situation(
        given.scenario(given.LANGUAGE, given.LAWS, given.REPEATS, plan=NO_DEGREES), ("target", "scaling")
    ),
    "a campaign": Situation(given.scenario(given.LANGUAGE, given.CAMPAIGN), ("campaign", "cluster.accelerator")),
    "a learning curve": Situation(
        given.scenario(given.CURVE),
        ("target", "scaling", "workload", "plan", "framework", "training"),
        {"Workload.family": ("highway_lm",)},
    ),
    "errors of a curve": Situation(given.scenario(given.CURVE), ("scaling",), answer=LEVERS),
    "images": Situation(
        given.scenario(given.IMAGES),
        ("scaling", "training", "workload", "cluster", "cluster.host", "cluster.storage"),
        {
            "Host.cores": (1,),
            "Host.link_bandwidth": ("1 MB/s",),
            "ClusterFile.accelerator": ("h200-sxm-141gb",),
            "ClusterFile.host": ("dgx-1",),
            "ClusterFile.storage": ("nfs-100gbe",),
        },
    ),
    "errors of passes": Situation(given.scenario(given.IMAGES), ("scaling",), answer=LEVERS),
    "random arrivals": Situation(
        given.scenario(given.IMAGES, training={"input": {"arrivals": "poisson"}}), ("training",)
    ),
    "a projected size": Situation(
        given.scenario(given.CURVE, workload={"parameters": None}, target={"error": 4.5}), ("workload",)
    ),
    "a search": Situation(
        given.scenario(given.LANGUAGE, plan=NO_DEGREES | {"search": True}, **STEPS),
        (
            "plan",
            "framework",
        ),
        {"PlanRequest.data": (2,)},
    ),
    "many small products": Situation(
        given.scenario(given.LANGUAGE, workload={"sizes": {"hidden": 4096}}, **STEPS),
        ("cluster.accelerator", *LINKS),
        {"PowerGroup.cap": ("250 W",), "LinkType.memory_share": (0.9,)},
    ),
    "a mixture of experts": Situation(
        given.scenario(given.MIXTURE),
        ("plan", "framework", "cluster.accelerator"),
        {"PlanRequest.saved_ops": (["products"],)},
    ),
    "experts that save their outputs": Situation(
        given.scenario(given.MIXTURE, plan={"recompute": None}, workload={"numerics": {"compute": "bf16"}}),
        ("workload",),
    ),
    "offloaded": Situation(
        given.scenario(given.LANGUAGE, plan={"offload": "optimizer"}, **STEPS),
        ("cluster.accelerator",),
        {"MemoryTier.capacity_bytes": ("0.5 GB",)},
    ),
    "zeros": Situation(
        given.scenario(
            given.LANGUAGE,
            **STEPS,
            workload={"numerics": {"sparse_products": ["mlp.*"], "sparse_pattern": "unstructured", "sparse_kept": 0.5}},
        ),
        ("workload", "cluster.accelerator"),
        {"Numerics.sparse_products": (["attention.out"],), "Numerics.sparse_kept": (0.25,)},
    ),
    "clicks": Situation(
        given.scenario(given.CLICKS, framework={}), ("target", "plan", "framework", "cluster.accelerator")
    ),
    "tables": Situation(
        given.scenario(given.TABLES),
        (
            "plan",
            "framework",
        ),
    ),
    "a rented cluster": Situation(
        given.scenario(given.LANGUAGE, given.RENT),
        ("target", "campaign", "cluster.accelerator", "cluster.storage"),
        {"FailureRequest.process": ("exponential",)},
    ),
    "a choice by the rate": Situation(
        given.scenario(given.CURVE, objective="rate", plan={"sub_batch": None, "global_batch": None}),
        ("training",),
        {"Training.batch_tolerance": (0.01, 0.9)},
    ),
    "a published time": Situation(
        given.scenario(given.LANGUAGE, target={"steps": 1000}, training={"compute_s": given.PUBLISHED}), ("training",)
    ),
    "slow devices": Situation(
        given.scenario(
            given.LANGUAGE, target={"steps": 1000}, training={"slow_devices": [{"rank": 20, "factor": 1.5}]}
        ),
        ("training",),
        {"SlowDevice.rank": (0,)},
    ),
    "a cube": Situation(
        given.scenario(given.LANGUAGE, cluster={"levels": given.CUBE}, **STEPS),
        ("cluster", LINKS[0]),
        {"LinkType.links_per_device": (6,), "LevelGroup.sizes": ([4, 1],)},
    ),
    "flash attention of 2022": Situation(
        given.scenario(given.LANGUAGE, workload={"numerics": {"attention": "flash1"}}, **STEPS),
        ("cluster.accelerator",),
    ),
    "speed-ups": Situation(
        given.scenario(given.LANGUAGE, speedups=[{"method": "layer_freezing", "amount": 0.2}], **STEPS),
        ("speedups.0",),
        {"SpeedupRequest.method": ("stochastic_depth",)},
        roots={("speedups", 0): SpeedupRequest},
    ),
    "a chip by itself": Situation(
        given.tree(given.CHIP),
        ("",),
        answer=lambda tree: accelerator_json(read(AcceleratorFile, parse(yaml_text(tree)))),
        roots={(): AcceleratorFile},
    ),
    "a chip from a budget": Situation(
        given.tree(given.BUDGET),
        ("",),
        {
            "ChipBudget.node": ("n5",),
            "ChipBudget.memory": ("HBM3",),
            "ChipBudget.core": ("systolic",),
            "ChipBudget.io_node": ("n6",),
            "ChipBudget.links": (["nvlink6"],),
            "ChipBudget.width": (4096,),
            "ChipBudget.dies": (2,),
            "BudgetFile.generation": ("ampere",),
        },
        answer=lambda tree: accelerator_json(read_file(parse(yaml_text(tree)))),
        roots={(): BudgetFile},
    ),
    "a chip from a budget of its year": Situation(
        given.laid(
            given.tree(given.BUDGET), {"budget": dict.fromkeys(("node", "memory", "matrix_share", "width", "local"))}
        ),
        ("",),
        {"ChipBudget.year": (2024.0,), "ChipBudget.core": ("systolic",)},
        answer=lambda tree: accelerator_json(read_file(parse(yaml_text(tree)))),
        roots={(): BudgetFile},
    ),
    "a capacity that ends in GB": Situation(
        given.laid(given.tree(given.CHIP), {"memory": {"capacity": "80 GB"}}),
        ("",),
        answer=given.lint,
        roots={(): AcceleratorFile},
    ),
    "a domain by itself": Situation(
        given.tree(given.CURVE)["scaling"], ("",), {"Printed.mismatches": (["another"],)}, given.projected, {(): Domain}
    ),
    "a framework": Situation(given.tree(given.FRAMEWORK), ("",), given.TRIES, given.applied, {(): FrameworkFile}),
    "a generation": Situation(
        given.generation(),
        ("",),
        {"Evidence.rows": (["a set"],), "Generation.achievable": ({"bf16": 0.5, "fp32": 0.9, "fp8": 0.7},)},
        given.of_generation,
        {(): Generation},
    ),
    "a generation of one tile": Situation(
        given.laid(given.generation(), {"matrix_unit": {"shapes": None}}),
        ("",),
        {},
        given.of_generation,
        {(): Generation},
    ),
    "a study": Situation(
        {
            "study": {
                "axes": {"plan.sub_batch": [1, 2], "plan.global_batch": {"from": 64, "to": 512, "count": 3}},
                "combine": "latin_hypercube",
                "samples": 4,
            }
        },
        ("study",),
        answer=given.designs,
        roots={("study",): Axes},
    ),
    "optical switches": Situation(
        given.scenario(
            given.LANGUAGE,
            target={"steps": 2000000},
            campaign={
                "failures": [{"component": "node", "mtbf": "3 h"}],
                "checkpoints": {"policy": "synchronous"},
                "recovery": {"spares": 1, "repair": "1 h"},
                "seeds": 2,
            },
        )
        | {"cluster": given.tree(given.OPTICAL)},
        ("cluster",),
        {"ClusterFile.shape": ([4, 4, 2],), "Optical.block": ([2, 4, 2],)},
    ),
    "a graph": Situation(
        given.scenario(given.LANGUAGE, plan={"data": 2, "pipeline": None}, **STEPS)
        | {"cluster": given.tree(given.GRAPH)},
        ("cluster",),
        {"ClusterFile.dead_links": ([["a", "b"]],), "EdgeGroup.link": ("nvlink3",)},
    ),
}

SITUATIONS |= {
    name: Situation(tree, ("workload.sizes",), given.TRIES, roots={("workload", "sizes"): FAMILIES[name.split()[0]]})
    for name, tree in given.families()
}


@cache
def walked() -> tuple[frozenset[str], Mapping[str, str]]:
    """Fields that count in some situation, and the others."""
    live: set[str] = set()
    dead: dict[str, str] = {}
    for situation in SITUATIONS.values():
        dead |= walk(situation, live)
    return frozenset(live), {name: why for name, why in dead.items() if name not in live}


def test_every_field_counts() -> None:
    """Or is refused; fields that count in no situation are dead inputs."""
    assert {name: why for name, why in walked()[1].items() if name not in NOT_SIMULATED} == {}


def test_no_record_is_left_out() -> None:
    """Every field of every record of every input file stands in one of the situations."""
    inputs = {*ROOTS.values(), *FAMILIES.values(), SpeedupRequest, FrameworkFile, Generation, Axes, BudgetFile}
    fields = {
        f"{cls.__name__}.{statement.name}"
        for top in inputs
        for cls in records_below(top)
        for statement in statements(cls)
        if not holds_records(Place(cls, statement, ()))
    }
    assert fields - walked()[0] - NOT_SIMULATED == set()


NOT_SIMULATED: Final = {f"TraceModel.{name}" for name in ("path", "name", "samples", "units", "weights", "ranks")}
"""Those of a Chakra trace are tested with its file (tests/workload/test_chakra.py)."""
