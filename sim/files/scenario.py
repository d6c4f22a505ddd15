"""Scenario files to the frozen `Scenario`: join the files, read every part, tell every problem at once."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar

from sim.axes import Axes
from sim.engine.campaign.request import Campaign
from sim.errors import InputError, Problem
from sim.fields import did_you_mean, shown, statements
from sim.files import library
from sim.files.budget import lanes_missing
from sim.files.clusters import load_links, read_cluster
from sim.files.fields import at_deepest, read, read_partial
from sim.files.frameworks import with_framework, without_framework
from sim.files.hardware import read_accelerator
from sim.files.kinds import refuse_other_kind
from sim.files.loader import Mark, Node, parse
from sim.files.merge import ACCELERATOR, Resolver, hoisted, override, through_list
from sim.files.models import config_file, family_of, list_models
from sim.network.optical import shapes
from sim.network.records import Cluster
from sim.network.resize import resize
from sim.network.surroundings import Host, Storage
from sim.plan.framework import Framework
from sim.plan.records import DEGREES
from sim.plan.speedups.request import SpeedupRequest
from sim.records import dataclass
from sim.scaling import Domain, parse_critical_batch
from sim.scenario import Objective, PlanRequest, Scenario, Target, Training, Workload
from sim.workload.registry import FAMILIES

T = TypeVar("T")

READ: Final[dict[str, type]] = {
    "target": Target,
    "framework": Framework,
    "scaling": Domain,
    "workload": Workload,
    "plan": PlanRequest,
    "training": Training,
    "campaign": Campaign,
    "study": Axes,
}
MAX_DEVICES: Final = 2**22
_SIZES: Final = {stated.name for family in FAMILIES.values() for stated in statements(family)}
BELOW: Final = (
    {name: f"workload.sizes.{name}" for name in _SIZES - {"name"}}
    | {axis: f"plan.{axis}" for axis in (*DEGREES, "sequence_parallel")}
    | {"format": "workload.numerics.compute", "parameters": "workload.parameters"}
)
"""Names that lower rooms, which know no scenario, use for its fields."""
CHOSEN: Final = ("devices", "shape", "twisted")  # keys of a cluster that may leave the part of it open
TEXTS: Final = ("name", "description", "software_date")
KEYS: Final = (*TEXTS, "objective", *READ, "speedups", "cluster", "accelerator", "sources", "extends")


@dataclass(frozen=True, slots=True)
class Leaf:
    """One value of a resolved document and where it comes from; a mark without a line is a default or a `--set`."""

    path: str
    value: Any
    mark: Mark


@dataclass(frozen=True, slots=True)
class Document:
    """A scenario as one tree: files joined, names resolved, overrides applied."""

    file: str
    node: Node
    unknown: tuple[str, ...] = ()  # fields whose value in the named framework nobody states

    @property
    def leaves(self) -> tuple[Leaf, ...]:
        """Every value given, in file order, then the defaults of the parts."""
        given = [Leaf(".".join(map(str, path)), node.plain, node.mark) for path, node in self.node.leaves()]
        return (*given, *self._defaults())

    @property
    def files(self) -> tuple[Path, ...]:
        """Every file it was read from, its own first."""
        named = dict.fromkeys([self.file, *(node.mark.file for _, node in self.node.leaves() if node.mark.line)])
        return tuple(path if (path := Path(name)).exists() else library.root() / name for name in named)

    def _defaults(self) -> Iterator[Leaf]:
        for part, cls in READ.items():
            node = self.node.at(part)
            if node is not None or part in ("target", "framework", "plan", "training", "campaign"):
                for leaf in _defaults(cls, node or Node({}, Mark("default")), part):
                    unknown = leaf.path in self.unknown
                    yield dataclasses.replace(leaf, mark=Mark("default, unknown in the framework")) if unknown else leaf


FRAMEWORK_KEYS: Final = frozenset(key for stated in statements(Framework) for key in (stated.name, stated.short) if key)


def load_scenario(name: str | Path, sets: Sequence[str] = ()) -> Scenario:
    """The scenario of that name in the library or in that file, with every `a.b=c` of `sets` applied."""
    return build(load_document(name, sets))


def scenario_of(given: Scenario | str | Path, sets: Sequence[str] = ()) -> Scenario:
    """The scenario itself, or the one of that name or file."""
    if not isinstance(given, Scenario):
        return load_scenario(given, sets)
    if sets:
        raise InputError(Problem("go with the name of a scenario", "sets", hint="scenario.with_(path, value)"))
    return given


def load_document(name: str | Path, sets: Sequence[str] = ()) -> Document:
    """The resolved tree of a scenario."""
    path = library.find("scenarios", str(name))
    resolver = Resolver()
    own = resolver.raw(path)
    refuse_other_kind(path, own)
    root = resolver.extended(hoisted(own), (), (library.real(path),))
    return _document(resolver, root, sets, library.shown(path), path.stem)


def document_of(values: Mapping[str, object], label: str, sets: Sequence[str] = ()) -> Document:
    """The resolved tree of a scenario given as plain values (JSON types); `label` stands for its file in messages."""
    return text_document(json.dumps(values), label, sets)


def text_document(text: str, label: str, sets: Sequence[str] = ()) -> Document:
    """The resolved tree of a scenario given as YAML; names of files in it start from `library.here`."""
    resolver = Resolver()
    root = resolver.extended(hoisted(parse(text, label)), ())
    return _document(resolver, root, sets, label, label)


def overrides(sets: Sequence[str]) -> dict[str, Any]:
    """What a file says that extends a scenario instead of overriding leaves of it."""
    problems: list[Problem] = []
    said = override(Node({}, Mark("--set")), sets, problems)
    if problems:
        raise InputError(*problems)
    return dict(said.plain)


def _document(resolver: Resolver, root: Node, sets: Sequence[str], shown_as: str, stem: str) -> Document:
    problems = resolver.problems
    root = override(root, [text for text in sets if not through_list(text)], problems)
    root = override(resolver.resolved(root), [text for text in sets if through_list(text)], problems)
    if not isinstance(root.value, dict):
        raise InputError(root.problem("must be a mapping", "", shown(root.plain)))
    if (name := root.at("name")) is None or name.value is None:
        root = Node({**root.value, "name": Node(stem, Mark("default"))}, root.mark, root.key_mark, root.lost)
    try:
        applied = with_framework(root)
    except InputError as error:
        problems += error.problems
        applied = without_framework(root)
    document = Document(shown_as, applied.node, applied.unknown)
    if problems:
        build(document, problems)
    return document


def build(document: Document, told: Sequence[Problem] = ()) -> Scenario:
    """The scenario a document says; InputError with the problems of all parts, those `told` while it was joined too."""
    root, problems = document.node, [*told, *_unknown(document.node)]

    def part(make: Callable[[Node, str], T], *steps: str) -> T | None:
        node = root.at(*steps)
        if node is None or node.value is None:
            return None
        try:
            return make(node, ".".join(steps))
        except InputError as error:
            problems.extend(map(_moved, error.problems))
            return None

    parts: dict[str, Any] = {key: part(_text, key) for key in TEXTS}
    parts |= {key: part(partial(_record, cls), key) for key, cls in READ.items() if key != "workload"}
    parts["sources"] = part(_texts, "sources")
    parts["speedups"] = part(_speedups, "speedups")
    parts["objective"] = part(_objective, "objective")
    workload = part(read_workload, "workload")
    cluster = part(read_cluster, "cluster")
    chip = part(read_accelerator, *ACCELERATOR)
    parts |= {key: part(partial(_record, cls), "cluster", key) for key, cls in (("host", Host), ("storage", Storage))}
    problems += _required(root) + _size(root, cluster) + _targets(root, parts["target"], parts["scaling"])
    problems += _critical_batch(root, parts["scaling"]) + lanes_missing(root, cluster, chip)
    if problems or workload is None or cluster is None or chip is None:
        raise InputError(*_sorted(problems, root))
    given = {key: value for key, value in parts.items() if value is not None}
    given["cluster_choices"] = _choices(root, cluster)
    with locating(document):
        return Scenario(workload=workload, cluster=cluster, accelerator=chip, links=load_links(), **given)


def _moved(problem: Problem) -> Problem:
    """A key of a plan that a framework decides is told its place."""
    part, _, key = problem.path.rpartition(".")
    if part != "plan" or key not in FRAMEWORK_KEYS:
        return problem
    return dataclasses.replace(problem, rule="is decided by the framework", hint=f"write framework.{key}")


def _objective(node: Node, path: str) -> Objective:
    """What plan and devices are chosen for."""
    text = _text(node, path)
    if text not in tuple(Objective):
        hint = did_you_mean(text, tuple(Objective)) or f"one of {', '.join(Objective)}"
        raise InputError(node.problem("is no objective", path, shown(text), hint))
    return Objective(text)


def _choices(root: Node, cluster: Cluster) -> tuple[Cluster, ...]:
    """Parts of the cluster and shapes of them to choose from; none: all is given."""
    said = {key: None if (there := root.at("cluster", key)) is None else there.value for key in CHOSEN}
    parts = tuple(_parts_of(cluster)) if said["devices"] == "auto" else (cluster,)
    if said["shape"] != "auto":
        return parts if said["devices"] == "auto" else ()
    found = tuple(
        shape for part in parts for shape in shapes(part, None if said["twisted"] is None else bool(said["twisted"]))
    )
    if not found:
        rule = f"no twisted torus of {cluster.devices} devices is made of whole blocks"
        raise InputError((root.at("cluster", "twisted") or root).problem(rule, "cluster.twisted", "true"))
    return found


def _parts_of(cluster: Cluster) -> Iterator[Cluster]:
    """Parts of a cluster with 2^k and 3·2^k devices, and the whole; the same parts whatever the whole."""
    sizes = {n << k for n in (1, 3) for k in range(cluster.devices.bit_length()) if n << k < cluster.devices}
    for size in sorted(sizes):
        try:
            yield resize(cluster, size)
        except InputError:
            continue
    yield cluster


def resolved(document: Document) -> dict[str, Any]:
    """The scenario as plain values that stand alone: every name replaced by what it names, files by their full path."""
    values = document.node.plain
    family = document.node.at("workload", "family")
    if family is not None and isinstance(family.value, str) and (config := _config(family, family.value)) is not None:
        values["workload"]["family"] = str(config.resolve())
    return dict(values)


@contextmanager
def locating(document: Document) -> Iterator[None]:
    """Problems that rooms below find in the scenario are told with the file and line of the field they name."""
    try:
        yield
    except InputError as error:
        raise InputError(*(_located(document.node, problem) for problem in error.problems)) from None


def _located(root: Node, problem: Problem) -> Problem:
    """`problem` at the deepest node its path leads to; as it is when its first step is none of the scenario's."""
    path = BELOW.get(problem.path, problem.path)
    if root.at(path.partition(".")[0]) is None:
        return problem
    return at_deepest(root, dataclasses.replace(problem, path=path))


def _record(cls: type, node: Node, path: str) -> object:
    return read(cls, node, path)


def _required(root: Node) -> list[Problem]:
    """Parts that are not there; the accelerator is the cluster's to ask for, unless the cluster is empty."""
    if root.lost:
        return []
    empty = [key for key in ("workload", "cluster") if (node := root.at(key)) is None or node.value is None]
    return [root.problem("is required", key) for key in empty]


def read_workload(node: Node, path: str) -> Workload:
    """The workload, its sizes checked against the family's own fields."""
    try:
        workload = read(Workload, node, path)
    except InputError as error:
        raise InputError(*error.problems, *_wrong_sizes(node, path)) from None
    family, base, published = _family(node.at("family") or node, workload.family, f"{path}.family")
    there = node.at("sizes") or node
    sizes = read_partial(FAMILIES[family], there, f"{path}.sizes") if there is not node else {}
    sizes = {**base, **{key: value for key, value in sizes.items() if value is not None}}
    _check_rules(FAMILIES[family], sizes, there, f"{path}.sizes")
    return dataclasses.replace(workload, family=family, sizes=sizes, published=workload.published or published)


def _family(node: Node, name: str, path: str) -> tuple[str, Mapping[str, Any], bool]:
    """The family that a name stands for, the sizes it brings, and whether they are a published model's."""
    if (config := _config(node, name)) is not None:
        from sim.files.huggingface import read_config  # noqa: PLC0415  (start-up time: only for such a file)

        return *read_config(config), False
    if (found := family_of(name)) is None:
        known = (*FAMILIES, *list_models())
        hint = did_you_mean(name, known) or f"a published model or one of {', '.join(sorted(FAMILIES))}"
        raise InputError(node.problem("unknown model family", path, shown(name), hint))
    return *found, bool(found[1])


def _wrong_sizes(node: Node, path: str) -> tuple[Problem, ...]:
    """What is wrong with the sizes themselves, where something else of the workload is wrong too."""
    named, sizes = node.at("family"), node.at("sizes")
    if named is None or not isinstance(named.value, str):
        return ()
    try:
        family, _, _ = _family(named, named.value, f"{path}.family")
        if sizes is not None:
            read_partial(FAMILIES[family], sizes, f"{path}.sizes")
    except InputError as error:
        return error.problems
    return ()


def _config(node: Node, family: str) -> Path | None:
    """The Hugging Face configuration a family stands for, beside the file that names it (an option: from here)."""
    return config_file(family, Path(node.mark.file).parent if node.mark.line else Path())


def _check_rules(family: Any, sizes: dict[str, Any], node: Node, path: str) -> None:
    """The family's own rules on the sizes given; those on sizes still to be solved are not due yet."""
    try:
        family(**sizes)
    except TypeError:  # a required size is left to be solved
        return
    except InputError as error:
        keys = {problem: problem.path.rpartition(".")[2] for problem in error.problems}
        found = [
            (node.at(key) or node).problem(problem.rule, f"{path}.{key}", problem.value, problem.hint)
            for problem, key in keys.items()
            if key in sizes
        ]
        if found:
            raise InputError(*found) from None


def _size(root: Node, cluster: Cluster | None) -> list[Problem]:
    """No cluster is larger than what can be simulated in seconds."""
    if cluster is None or cluster.devices <= MAX_DEVICES:
        return []
    node = root.at("cluster", "devices") or root.at("cluster") or root
    return [node.problem(f"must be at most {MAX_DEVICES:,}", "cluster.devices", f"{cluster.devices:,}")]


def _targets(root: Node, target: Target | None, domain: Domain | None) -> list[Problem]:
    """Rules between the target and the scaling domain."""
    node = root.at("target") or root
    named = [name for name in ("error", "samples", "units", "steps") if target and getattr(target, name) is not None]
    if len(named) > 1:
        return [node.problem(f"must name one of {', '.join(named)}, not {len(named)}", "target")]
    if domain is None:
        broken = (root.at("scaling") or root).value is None or root.at("scaling") is None
        if root.lost or (target is None and root.at("target") is not None):
            return []  # the target is wrong: what it needs is not known
        if broken and named in ([], ["error"]):
            rule = "is required to know how much data the target needs"
            return [node.problem(rule, "scaling", hint="or give target.samples, target.units or target.steps")]
        return []
    error = target.error if target is not None and target.error is not None else None
    guess = domain.curve.best_guess if domain.curve is not None else None
    if (named and error is None) or error is None or guess is None or error < guess:
        return []
    there = root.at("target", "error") or node
    return [there.problem("already reached by guessing", "target.error", f"{error:g}", f"best guess {guess:g}")]


def _critical_batch(root: Node, domain: Domain | None) -> list[Problem]:
    """A critical batch is counted in samples or in the units of the domain."""
    given = root.at("training", "critical_batch")
    if given is None or given.value is None or domain is None:
        return []
    try:
        parse_critical_batch(given.plain, domain.unit)
    except InputError as error:
        return [given.problem(p.rule, p.path, p.value, p.hint) for p in error.problems]
    return []


def _unknown(root: Node) -> list[Problem]:
    """Keys no scenario has."""
    keys = root.value if isinstance(root.value, dict) else {}
    return [
        Problem("unknown key", key, "", *_place(child), did_you_mean(key, KEYS))
        for key, child in keys.items()
        if key not in KEYS
    ]


def _place(node: Node) -> tuple[str, int, int]:
    mark = node.key_mark or node.mark
    return mark.file, mark.line, mark.column


def _text(node: Node, path: str) -> str:
    if not isinstance(node.value, str):
        raise InputError(node.problem("must be text", path, shown(node.plain)))
    return node.value


def _texts(node: Node, path: str) -> tuple[str, ...]:
    if not isinstance(node.value, list):
        raise InputError(node.problem("must be a list", path, shown(node.plain)))
    return tuple(_text(child, f"{path}.{i}") for i, child in enumerate(node.value))


def _speedups(node: Node, path: str) -> tuple[SpeedupRequest, ...]:
    if not isinstance(node.value, list):
        raise InputError(node.problem("must be a list", path, shown(node.plain)))
    return tuple(read(SpeedupRequest, child, f"{path}.{i}") for i, child in enumerate(node.value))


def _sorted(problems: list[Problem], root: Node) -> list[Problem]:
    """Problems of the scenario's own file first, each once, in file order."""
    unique = list(dict.fromkeys(problems))
    return sorted(unique, key=lambda p: (p.file != root.mark.file, p.file, p.line, p.column))


def _defaults(cls: Any, node: Node, path: str) -> Iterator[Leaf]:
    """Fields of `cls` that `node` leaves out, with their defaults."""
    for stated in statements(cls):
        child, nested = node.at(stated.name) or node.at(stated.short), dataclasses.is_dataclass(stated.default)
        if nested and (child is None or isinstance(child.value, dict)):
            below = child or Node({}, Mark("default"))
            yield from _defaults(type(stated.default), below, f"{path}.{stated.name}")
        elif child is None and not stated.required:
            yield Leaf(f"{path}.{stated.name}", stated.default, Mark("default"))
