"""Files joined into one tree: `extends`, names of library parts, and `--set`.

A part of a scenario may be a mapping, or the name of a file; a mapping may extend a file.  Everything is one rule,
`merge`: the upper tree wins leaf by leaf, and a mapping over a name extends that name.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Final, TypeAlias

from sim.errors import InputError, Problem
from sim.files import library
from sim.files.library import Kind
from sim.files.loader import Mark, Node, load, parse
from sim.files.models import config_file, is_model

Steps: TypeAlias = tuple[str, ...]

PARTS: Final[dict[Steps, Kind]] = {
    (): "scenarios",
    ("scaling",): "scaling",
    ("workload",): "workloads",
    ("workload", "numerics"): "numerics",
    ("cluster",): "clusters",
    ("cluster", "accelerator"): "accelerators",
    ("cluster", "host"): "hosts",
    ("cluster", "storage"): "storage",
    ("plan",): "plans",
    ("training",): "training",
    ("training", "input"): "inputs",
    ("campaign",): "campaigns",
}
SETTINGS: Final[tuple[Steps, ...]] = (("plan",), ("training",), ("workload", "numerics"), ("campaign",))
"""Parts that are settings, not things with a name of their own."""
BELOW: Final = "\x00below"
"""Key of what a part that extends a file is laid over, until files are joined."""
LONGEST_CHAIN: Final = 60
ACCELERATOR: Final[Steps] = ("cluster", "accelerator")


def merge(base: Node, over: Node, path: Steps = ()) -> Node:
    """`over` laid on `base`: mappings merge key by key, anything else replaces; a mapping over a name extends it.

    A part that `extends` a file of its own is another part, but for settings: those of the file, and its own, are laid
    over the settings below. So is a chip with a name and a budget of its own.
    """
    if base.lost:
        over = over.as_lost
    if not isinstance(over.value, dict):
        return over
    if path == ACCELERATOR and {"name", "budget"} <= over.value.keys():
        return over
    if "extends" in over.value:
        if path not in SETTINGS or BELOW in over.value:
            return over
        return Node({BELOW: base, **over.value}, over.mark, over.key_mark, over.lost)
    if isinstance(base.value, str) and path in PARTS:
        return Node({"extends": base, **over.value}, over.mark, over.key_mark)
    if not isinstance(base.value, dict):
        return over
    joined = dict(base.value)
    for key, child in over.value.items():
        known = joined.get(key)
        joined[key] = child if known is None else merge(known, child, (*path, key))
    return Node(joined, over.mark, over.key_mark or base.key_mark, base.lost or over.lost)


def hoisted(root: Node) -> Node:
    """A scenario's `accelerator` beside its cluster is short for `cluster.accelerator`, `framework: NAME` for its
    name: what is stated of a framework is laid over the named one."""
    named = root.at("framework")
    if named is not None and isinstance(named.value, str) and isinstance(root.value, dict):
        whole = Node({"name": Node(named.value, named.mark, named.mark)}, named.mark, named.key_mark)
        root = Node({**root.value, "framework": whole}, root.mark, root.key_mark, root.lost)
    chip = root.at("accelerator")
    if chip is None or not isinstance(root.value, dict):
        return root
    rest = {key: child for key, child in root.value.items() if key != "accelerator"}
    inside = Node({"accelerator": chip}, chip.mark, chip.key_mark)
    return merge(Node(rest, root.mark), Node({"cluster": inside}, root.mark))


class Resolver:
    """Loads files, follows `extends` and names; remembers which file each shown name stands for.

    What is named and not found goes to `problems`; what was to be laid over it is a node that is `lost`.
    """

    def __init__(self, parts: dict[Steps, Kind] | None = None) -> None:
        self.parts = PARTS if parts is None else parts
        self.folders: dict[str, Path] = {}
        self.joined: dict[tuple[Path, Steps], Node] = {}
        self.problems: list[Problem] = []

    def whole(self, path: Path, at: Steps = ()) -> Node:
        """The file that stands at `at` over what it extends; InputError with every name that leads nowhere."""
        node = self.extended(self.file(path, at), at, (library.real(path),))
        if self.problems:
            raise InputError(*self.problems)
        return node

    def raw(self, path: Path) -> Node:
        """The tree of a file as it stands there."""
        shown = library.shown(path)
        self.folders[shown] = path.parent
        return load(path, shown)

    def file(self, path: Path, at: Steps = ()) -> Node:
        """The tree of the file that stands at `at`."""
        node = self.raw(path)
        return hoisted(node) if not at and ACCELERATOR in self.parts else node

    def extended(self, node: Node, at: Steps, stack: tuple[Path, ...] = ()) -> Node:
        """`node` merged over what it extends (or names), parts below it left as they stand."""
        if isinstance(node.value, str) and at:
            return self._named(node, at, stack)
        if not isinstance(node.value, dict) or "extends" not in node.value:
            return node
        own = {key: child for key, child in node.value.items() if key not in ("extends", BELOW)}
        bases, below = node.value["extends"], node.value.get(BELOW)
        result = Node({}, node.mark) if below is None else self.extended(below, at, stack)
        for base in bases.value if isinstance(bases.value, list) else [bases]:
            result = merge(result, self._named(base, at, stack), at)
        return merge(result, Node(own, node.mark, node.key_mark), at)

    def _named(self, name: Node, at: Steps, stack: tuple[Path, ...]) -> Node:
        if not isinstance(name.value, str):
            self.problems.append(name.problem("must be the name of a file", ".".join((*at, "extends"))))
            return Node({}, name.mark, lost=True)
        if at == ("workload",) and (self._configured(name) or is_model(name.value)):
            return Node({"family": name}, name.mark, name.key_mark)  # a published model is a workload of its own
        try:
            path = library.find(self.parts[at], name.value, self.folders.get(name.mark.file))
            real = library.real(path)
            if real in stack:
                chain = " → ".join(library.shown(p) for p in (*stack, path))
                raise InputError(Problem("extends itself", value=chain))
            if len(stack) >= LONGEST_CHAIN:
                raise InputError(
                    Problem(f"extends more than {LONGEST_CHAIN} files, one over the other", value=name.value)
                )
            if (real, at) not in self.joined:
                self.joined[real, at] = self.extended(self.file(path, at), at, (*stack, real))
        except InputError as error:
            self.problems.extend(self._here(name, at, problem) for problem in error.problems)
            return Node({}, name.mark, name.key_mark, lost=True)
        found = self.joined[real, at]
        return Node(found.value, found.mark, name.key_mark or name.mark, found.lost)  # a part stands where it is named

    def _configured(self, name: Node) -> bool:
        """Whether a workload is a Hugging Face configuration on this disk."""
        near = Path(name.mark.file).parent if name.mark.line else Path()
        return config_file(str(name.value), self.folders.get(name.mark.file, near)) is not None

    @staticmethod
    def _here(name: Node, at: Steps, problem: Problem) -> Problem:
        """A problem of finding a file is told where it was named."""
        if problem.line:
            return problem
        value = problem.value or problem.file
        return name.problem(problem.rule, ".".join(at), value, problem.hint)

    def resolved(self, node: Node, at: Steps = ()) -> Node:
        """`node` with every part expanded."""
        node = self.extended(node, at) if at else node
        if not isinstance(node.value, dict):
            return node
        below = {steps[len(at)] for steps in self.parts if len(steps) > len(at) and steps[: len(at)] == at}
        children = {
            key: self.resolved(child, (*at, key)) if key in below and child.value is not None else child
            for key, child in node.value.items()
        }
        return Node(children, node.mark, node.key_mark, node.lost)


def override(root: Node, sets: Iterable[str], problems: list[Problem]) -> Node:
    """`root` with each `a.b=c` merged over it; the steps of a path through a list are numbers."""
    for text in sets:
        try:
            path, value = _assignment(text)
            root = _replace(root, path, value, text)
        except InputError as error:
            problems.extend(error.problems)
            root = root.as_lost
    return root


def through_list(text: str) -> bool:
    """Whether a `--set` names an element of a list, which exists only once names are resolved."""
    return any(step.isdigit() for step in text.partition("=")[0].split("."))


def _assignment(text: str) -> tuple[Steps, Node]:
    """Path and value of `a.b=c`; the value is YAML."""
    path, equals, value = text.partition("=")
    steps = tuple(step.strip() for step in path.split("."))
    mark = Mark(f"--set {text}")
    if not equals or not all(steps):
        raise InputError(Problem("must be PATH=VALUE, for example plan.data=64", file=mark.file))
    try:
        node = parse(value, mark.file) if value.strip() else Node(None, mark)
    except InputError as error:
        raise InputError(Problem(f"the value {error.problems[0].rule}", file=mark.file)) from None
    steps = (*ACCELERATOR, *steps[1:]) if steps[0] == "accelerator" else steps
    steps = (*steps, "name") if steps == ("framework",) and isinstance(node.value, str) else steps
    return steps, _marked(node, mark)


def _marked(node: Node, mark: Mark) -> Node:
    """Every node below at one mark."""
    value = node.value
    if isinstance(value, dict):
        return Node({k: _marked(child, mark) for k, child in value.items()}, mark, mark)
    if isinstance(value, list):
        return Node([_marked(child, mark) for child in value], mark, mark)
    return Node(value, mark, mark)


def _replace(node: Node, steps: Steps, value: Node, text: str, at: Steps = ()) -> Node:
    """`node` with `value` at `steps`; mappings are made on the way, list elements must exist."""
    if not steps:
        return value
    head, rest = steps[0], steps[1:]
    if isinstance(node.value, list):
        if not head.isdigit() or int(head) >= len(node.value):
            rule = f"{'.'.join((*at, head))}: no such element, the list has {len(node.value)}"
            raise InputError(Problem(rule, file=f"--set {text}"))
        items = list(node.value)
        items[int(head)] = _replace(items[int(head)], rest, value, text, (*at, head))
        return Node(items, node.mark, node.key_mark)
    known = node.at(head) if isinstance(node.value, dict) else None
    child = _replace(known or Node({}, value.mark, value.mark), rest, value, text, (*at, head))
    return merge(node, Node({head: child}, node.mark, node.key_mark), at)
