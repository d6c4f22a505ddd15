"""What the page asks of the server, and what is answered: each callback gets all it needs from the page that asks."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Final, TypeAlias

from dash import ctx, no_update

from sim.app import answers, view
from sim.app.controls import CONTROLS, MIDDLE, factor_at, place_of, sets_of, shown_of, values_of
from sim.app.design import Asked, ask
from sim.app.state import MOST_TEXT, Design, pack, unpack
from sim.app.state import State as Opened
from sim.errors import ForetrainError, InputError
from sim.files.library import names, within
from sim.records import dataclass
from sim.simulation.properties import PROPERTIES
from sim.units import format_quantity

Json: TypeAlias = Any
FIELDS: Final = tuple(control.name for control in CONTROLS)
UNCHANGED: Final[dict[str, Json]] = {
    "scenario": no_update,
    "fields": dict.fromkeys(FIELDS, no_update),
    "others": no_update,
    "also": no_update,
    "scale": dict.fromkeys(PROPERTIES, no_update),
    "text": no_update,
}


@dataclass(frozen=True, slots=True)
class Callbacks:
    """The callbacks of one folder."""

    folder: Path

    # -- what a page opens with ----------------------------------------------------------------------------------------

    def opened(self, search: str | None, first: Mapping[str, Json]) -> tuple[Json, str]:
        """The designs of a link, or the first scenario and why the link was refused."""
        link = (search or "").removeprefix("?").removeprefix("state=")
        if not link:
            return {"first": first["first"]}, ""
        try:
            state = unpack(link)
        except ForetrainError as error:
            return {"first": first["first"]}, f"This link was not opened: {error}"
        return {name: asdict(design) for name, design in (("a", state.a), ("b", state.b)) if design}, ""

    def filled(
        self, name: str, *, opened: Json, contents: str | None, scenario: str | None, filename: str | None, held: Json,
        other: Json, **clicks: Json,
    ) -> dict[str, Json]:  # fmt: skip
        """What the controls of a design show: those of a link, a file dropped, another scenario, the design beside."""
        trigger = str(ctx.triggered_id or "opened").removeprefix(f"{name}-")
        if trigger == "opened":
            given = opened.get(name)
            return self._controls(given if given else {"scenario": opened.get("first")} if name == "a" else None)
        if trigger == "upload":
            return self._controls({"scenario": filename or "dropped.yaml", "text": _text(contents)})
        if trigger == "compare":
            return self._controls(None if held else other)
        if trigger == "reset":
            return UNCHANGED | {"scale": dict.fromkeys(PROPERTIES, MIDDLE)}
        return self._controls({"scenario": scenario}) if scenario else UNCHANGED

    def scenarios(self) -> list[str]:
        """Names to choose from: files of the folder, then the library."""
        mine = sorted(path.name for suffix in ("*.yaml", "*.yml") for path in self.folder.glob(suffix))
        return [*mine, *names("scenarios")]

    def _controls(self, given: Mapping[str, Json] | None) -> dict[str, Json]:
        """What the controls show of a design; nothing of one that is not there."""
        given = given or {}
        name, text, scale = given.get("scenario"), given.get("text"), given.get("scale") or {}
        values, others = values_of(given.get("sets") or ())
        listed = not text and name in self.scenarios()
        kept = None if (listed and not scale) or not name else {"name": name, "text": text, "scale": dict(scale)}
        return {
            "scenario": name if listed else None,
            "text": kept,
            "fields": {key: values.get(key) for key in FIELDS},
            "others": others,
            "also": list(given.get("also") or ()),
            "scale": {key: place_of(scale.get(key, 1.0)) for key in PROPERTIES},
        }

    # -- answers -------------------------------------------------------------------------------------------------------

    def answer(
        self, name: str, scenario: str | None, text: Json, fields: Mapping[str, Json], others: str | None,
        scale: Mapping[str, Json], also: list[str] | None = None,
    ) -> dict[str, Json]:  # fmt: skip
        """The answer at once, the values of the sliders, the design as it is kept and as YAML."""
        if not scenario and not text:
            return _nothing()
        try:
            design = replace(_design(scenario, text or {}, fields, others or "", scale), also=tuple(also or ()))
            with within(self.folder):
                asked = ask(design)
                shown = {
                    "design": asdict(design),
                    "values": _values(asked),
                    "yaml": asked.yaml,
                    "source": f"{design.scenario} (dropped)" if design.text else "",
                }
        except ForetrainError as error:
            return _nothing() | {"answer": view.refused(error)}
        try:
            with within(self.folder):
                result = answers.at_once(asked)
        except ForetrainError as error:
            return shown | {"answer": view.refused(error), "given": shown_of(asked.scenario, None)}
        given = shown_of(asked.scenario, result.plan)
        return shown | {"answer": view.answered(result, name), "given": given}

    def confirmed(self, name: str, settled: Json) -> Json:
        """The answer by SimPy, for the design it says it is for."""
        if not settled:
            return None
        try:
            with within(self.folder):
                asked = ask(Design(**_plain(settled)))
                try:
                    quick = answers.at_once(asked)
                except ForetrainError:
                    quick = None
                shown = view.confirmed(answers.confirmed(asked), quick, name)
        except ForetrainError as error:  # said at once already, but for what only a search for a plan finds
            shown = view.NOTHING if isinstance(error, InputError) else view.refused(error)
        return {**shown, "design": settled}

    def worth(self, name: str, settled: Json) -> dict[str, Json]:
        """The elasticity beside every slider, and the tornado of all."""
        nothing = {"texts": dict.fromkeys(PROPERTIES, ""), "worth": None}
        if not settled:
            return nothing
        try:
            with within(self.folder):
                asked = ask(Design(**_plain(settled)))
                metric = "step_s" if answers.at_once(asked).time_to_target is None else "time_to_target_s"
                found = answers.worth(asked, metric)
        except ForetrainError:
            return nothing
        texts = dict.fromkeys(PROPERTIES, "") | view.slopes(found)
        return {"texts": texts, "worth": {**view.tornado(found, name), "design": settled}}

    def chips(self, name: str, settled: Json) -> Json:
        """The design beside the same on the accelerators named."""
        if not settled or not settled.get("also"):
            return view.NOTHING | {"design": settled}
        with within(self.folder):
            found = answers.on_chips(Design(**_plain(settled)))
        return view.beside(found, f"{name}-chips", "the design") | {"design": settled}

    def beside(self, first: Json, second: Json) -> Json:
        """Two designs compared, where there are two."""
        if not first or not second:
            return view.NOTHING
        with within(self.folder):
            designs = {f"design {k}": Design(**_plain(v)) for k, v in (("A", first), ("B", second))}
            return view.beside(answers.compared(designs), "beside", "design A")


def link(first: Json, second: Json) -> str:
    """The characters that carry both designs."""
    if not first:
        return ""
    return pack(Opened(Design(**_plain(first)), Design(**_plain(second)) if second else None))


def _plain(design: Mapping[str, Json]) -> dict[str, Json]:
    """The fields of a design as a page holds them."""
    return {**design, **{name: tuple(design.get(name, ())) for name in ("sets", "also")}}


def _text(contents: str | None) -> str:
    """The text of a dropped file."""
    data = (contents or "").partition(",")[2]
    if len(data) > 2 * MOST_TEXT:
        return "# larger than a scenario may be"
    try:
        return base64.b64decode(data).decode("utf-8-sig")
    except (binascii.Error, UnicodeDecodeError):
        return "# not UTF-8 text"


def _design(
    scenario: str | None, text: Mapping[str, Json], fields: Mapping[str, Json], others: str, scale: Mapping[str, Json]
) -> Design:
    """The design that controls say; a factor between two positions of a slider stays until the slider moves."""
    exact = text.get("scale", {})
    factors = {name: factor_at(place) for name, place in scale.items()}
    factors |= {name: factor for name, factor in exact.items() if place_of(factor) == int(float(scale[name] or 0))}
    turned = {name: factor for name, factor in factors.items() if factor != 1.0}
    return Design(scenario or text.get("name") or "", text.get("text") or "", sets_of(fields, others), turned)


def _values(asked: Asked) -> dict[str, str]:
    """The value of every property, and how far it is turned; empty where there is nothing to scale."""
    found = {}
    for name, prop in PROPERTIES.items():
        value, factor = prop.value(asked.scenario), asked.design.scale.get(name, 1.0)
        text = "" if not value else format_quantity(value, prop.dimension, binary=True, digits=3)
        found[name] = text if factor == 1.0 or not text else f"{text} ({factor:g}x)"
    return found


def _nothing() -> dict[str, Json]:
    return {
        "design": None,
        "answer": view.NOTHING,
        "values": dict.fromkeys(PROPERTIES, ""),
        "yaml": "",
        "source": "",
        "given": dict.fromkeys(FIELDS, ""),
    }
