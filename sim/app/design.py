"""From a design to its scenario, and back to YAML that says the same."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import reduce
from typing import Any, Final

from sim.app.state import Design
from sim.device.records import Accelerator
from sim.files import Document, build, load_document, locating
from sim.files.loader import parse
from sim.files.merge import through_list
from sim.files.scenario import overrides, text_document
from sim.files.yaml_text import yaml_text
from sim.network.records import Edge, LinkType
from sim.records import dataclass
from sim.scenario import Scenario
from sim.simulation.properties import PROPERTIES
from sim.units import Dimension, format_quantity

LINKS: Final = {
    "link_bandwidth": ("bandwidth",),
    "link_latency": ("latency_s", "hop_latency_s", "base_s", "message_base_s"),
}
EXACT: Final = 12  # digits of a scaled quantity: what is copied is what was answered


@dataclass(frozen=True, slots=True)
class Asked:
    """A design with its scenario, and the same with the hardware as its files say."""

    design: Design
    unscaled: Scenario
    document: Document
    scenario: Scenario
    fields: tuple[str, ...] = ()  # overrides that scale the hardware

    @property
    def yaml(self) -> str:
        """The design as a scenario file: what it extends and what it changes."""
        given, text = (_whole(each, self.document) for each in self.design.sets), self.design.text
        changed = overrides([*given, *self.fields])
        if not text:
            return yaml_text({"extends": self.design.scenario, **changed})
        return text if not changed else yaml_text(_over(parse(text, self.design.scenario).plain, changed))


def ask(design: Design) -> Asked:
    """The scenario of a design, its hardware scaled in the fields a file would say it in."""
    document = _document(design, design.sets)
    scenario = _built(document)
    scale = {name: factor for name, factor in design.scale.items() if factor != 1.0}
    if not scale:
        return Asked(design, scenario, document, scenario)
    fields = scaled_fields(document, scenario, scale)
    scaled = _document(design, (*design.sets, *fields))
    return Asked(design, scenario, scaled, _built(scaled), fields)


def turned(design: Design, name: str, factor: float) -> Design:
    """The design with a hardware property times a factor, on top of what it is scaled by."""
    return replace(design, scale={**design.scale, name: design.scale.get(name, 1.0) * factor})


def _built(document: Document) -> Scenario:
    with locating(document):
        return build(document)


def _document(design: Design, sets: tuple[str, ...]) -> Document:
    if design.text:
        return text_document(design.text, design.scenario, sets)
    return load_document(design.scenario, sets)


def _over(base: Any, changed: Mapping[str, Any]) -> dict[str, Any]:
    """`changed` laid on plain values, as files are merged; a mapping over a name extends it."""
    made = dict(base) if isinstance(base, Mapping) else {} if base is None else {"extends": base}
    for key, value in changed.items():
        mapping = isinstance(value, Mapping) and "extends" not in value
        made[key] = _over(made.get(key), value) if mapping else value
    return made


def _whole(text: str, document: Document) -> str:
    """An override of an element of a list, as one of the whole list: files know no other."""
    if not through_list(text):
        return text
    steps = text.partition("=")[0].split(".")
    steps = ["cluster", *steps] if steps[0] == "accelerator" else steps
    head = steps[: next(place for place, step in enumerate(steps) if step.isdigit())]
    node = document.node.at(*head)
    return f"{'.'.join(head)}={json.dumps(None if node is None else node.plain)}"


def scaled_fields(document: Document, scenario: Scenario, scale: Mapping[str, float]) -> tuple[str, ...]:
    """The overrides that say in a file what scaling hardware properties makes of a scenario."""
    scaled = reduce(lambda made, item: PROPERTIES[item[0]].scaled(made, item[1]), scale.items(), scenario)
    chip = [f"accelerator.{text}" for name in scale for text in _of_chip(name, scaled.accelerator)]
    rates = [key for name, keys in LINKS.items() if name in scale for key in keys]
    return (*chip, *(_of_links(document, scaled, rates) if rates else ()))


def _of_chip(name: str, chip: Accelerator) -> Iterator[str]:
    """Fields of an accelerator file that a property stands in."""
    if name == "peak":
        yield from (f"compute.formats.{key}.peak={_text(c.peak_flops, 'flops')}" for key, c in chip.compute.items())
    elif name == "memory_bandwidth":
        yield f"memory.bandwidth={_text(chip.memory.bandwidth, 'bandwidth')}"
    elif name == "memory_capacity":
        yield f"memory.capacity={_text(chip.memory.capacity_bytes)}"
    elif name == "cache_capacity":
        yield f"cache.capacity={_text(chip.cache.capacity_bytes)}"
    elif name == "cache_bandwidth" and chip.cache.bandwidth is not None:
        yield f"cache.bandwidth={_text(chip.cache.bandwidth, 'bandwidth')}"
    elif name == "kernel_overhead":
        yield f"compute.kernel_overhead={_text(chip.kernel_overhead_s, 'seconds')}"
        yield f"compute.host={_text(chip.host_s, 'seconds')}"


def _of_links(document: Document, scaled: Scenario, rates: Sequence[str]) -> Iterator[str]:
    """Levels, or edges, with the `rates` of the scaled cluster; a list is said whole."""
    cluster = document.node.at("cluster")
    levels, edges = (None if cluster is None else cluster.at(*path) for path in (("levels",), ("graph", "edges")))
    if levels is not None and levels.value:
        links = {level.name: level.link for level in scaled.cluster.levels}
        made = [{**level, "link": _link(level["link"], links.get(level["name"]), rates)} for level in levels.plain]
        yield f"cluster.levels={json.dumps(made)}"
    elif edges is not None:
        there = iter(scaled.cluster.edges)
        grouped = [(group, [next(there) for _ in range(1 if group.get("directed") else 2)]) for group in edges.plain]
        made = [_rated(group, pair[0], [r for r in rates if hasattr(pair[0], r)]) for group, pair in grouped]
        yield f"cluster.graph.edges={json.dumps(made)}"


def _link(given: Any, link: LinkType | None, rates: Sequence[str]) -> Any:
    """A link as a level says it; one that a smaller cluster leaves out stays as it is."""
    if link is None:
        return given
    return _rated({"like": given} if isinstance(given, str) else given, link, rates)


def _rated(given: Mapping[str, Any], record: LinkType | Edge, rates: Sequence[str]) -> dict[str, Any]:
    """What is given of a link, with some rates as the record has them."""
    kept = {key: value for key, value in given.items() if key not in rates and f"{key}_s" not in rates}
    values = {name: value for name in rates if (value := getattr(record, name)) is not None}
    said = {n.removesuffix("_s"): _text(v, "seconds" if n.endswith("_s") else "bandwidth") for n, v in values.items()}
    return kept | said


def _text(value: float, dimension: Dimension = "bytes") -> str:
    return format_quantity(value, dimension, binary=True, digits=EXACT)
