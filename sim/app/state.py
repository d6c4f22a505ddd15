"""What a page holds: one or two designs, each a scenario and what is changed in it; and the link that carries it.

A link is input like any other: size and compression are bounded before anything is unpacked, the text is YAML that the
border reads, and every field is checked by its own statement.
"""

from __future__ import annotations

import base64
import binascii
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import asdict, field
from typing import Any, Final

from sim.errors import InputError, Problem
from sim.fields import Record, about, did_you_mean, problem
from sim.files.fields import read
from sim.files.loader import parse
from sim.files.yaml_text import yaml_text
from sim.records import dataclass
from sim.simulation.properties import PROPERTIES

MOST_LINK: Final = 60_000  # characters; browsers and proxies take fewer
MOST_TEXT: Final = 1_000_000  # bytes of a scenario, dropped or unpacked
MOST_SETS: Final = 200
MOST_ALSO: Final = 12
FARTHEST: Final = 100.0  # times a hardware property, or its hundredth
NAME: Final = "link"


@dataclass(frozen=True, slots=True)
class Design(Record):
    """A scenario of the library, of the app's folder, or given as text, and what is changed in it."""

    scenario: str = field(default="", metadata=about("name of a scenario, or what the text is called"))
    text: str = field(default="", metadata=about("the scenario as YAML, where it was dropped on the page"))
    sets: tuple[str, ...] = field(default=(), metadata=about("overrides, PATH=VALUE"))
    scale: Mapping[str, float] = field(default_factory=dict, metadata=about("hardware properties, times their value"))
    also: tuple[str, ...] = field(default=(), metadata=about("accelerators that it is shown on beside its own"))

    def contradictions(self) -> Iterator[Problem]:
        for name, value in (
            ("scenario", self.scenario),
            ("text", self.text),
            ("sets", "".join(self.sets)),
            ("also", "".join(self.also)),
        ):
            allowed = "\n\t\r" if name == "text" else ""
            if strange := next((c for c in value if not (c.isprintable() or c in allowed)), ""):
                yield problem(name, "must hold no control characters", strange)
        if not self.scenario.strip():
            yield problem("scenario", "is required")
        if len(self.scenario) > 200 or len(self.text) > MOST_TEXT or sum(map(len, self.sets)) > MOST_TEXT:
            yield problem("text", f"must be of at most {MOST_TEXT:,} characters, its name of 200")
        if len(self.also) > MOST_ALSO:
            yield problem("also", f"must be at most {MOST_ALSO} accelerators", len(self.also))
        if len(self.sets) > MOST_SETS:
            yield problem("sets", f"must be at most {MOST_SETS}", len(self.sets))
        for name, factor in self.scale.items():
            if name not in PROPERTIES:
                yield problem(f"scale.{name}", "is no hardware property", hint=did_you_mean(name, PROPERTIES))
            elif not 1.0 / FARTHEST <= factor <= FARTHEST:
                yield problem(f"scale.{name}", f"must lie between {1 / FARTHEST:g} and {FARTHEST:g}", factor)


@dataclass(frozen=True, slots=True)
class State(Record):
    """All that a page shows follows from this."""

    a: Design = field(metadata=about("the design"))
    b: Design | None = field(default=None, metadata=about("the design beside it"))


def pack(state: State) -> str:
    """The state as the characters of a link: YAML without what is left at its default, compressed."""
    designs = {name: _given(design) for name, design in (("a", state.a), ("b", state.b)) if design is not None}
    return base64.urlsafe_b64encode(zlib.compress(yaml_text(designs).encode(), 9)).decode().rstrip("=")


def unpack(link: str) -> State:
    """The state of a link; InputError with a sentence for whatever is wrong with it."""
    if len(link) > MOST_LINK:
        raise _refused(f"must be of at most {MOST_LINK:,} characters", f"{len(link):,}")
    try:
        packed = base64.b64decode(link + "=" * (-len(link) % 4), altchars=b"-_", validate=True)
        unpacker = zlib.decompressobj()
        data = unpacker.decompress(packed, 2 * MOST_TEXT)
        text = data.decode()
    except (binascii.Error, zlib.error, UnicodeError, ValueError):
        raise _refused("is damaged: its state cannot be read") from None
    if unpacker.unconsumed_tail or not unpacker.eof or unpacker.unused_data:
        raise _refused(f"is damaged, or unpacks to more than {2 * MOST_TEXT:,} bytes")
    return read(State, parse(text, NAME))


def _given(design: Design) -> dict[str, Any]:
    return {name: value for name, value in asdict(design).items() if value}


def _refused(rule: str, value: str = "") -> InputError:
    return InputError(Problem(rule, "", value, NAME))
