"""What a field of a record states about itself, once: unit, range, choices, documentation and default.

    @dataclass(frozen=True, slots=True)
    class Memory(Record):
        capacity_bytes: float = field(metadata=about("what the chip holds", dimension="bytes", gt=0))

A `Record` is checked on construction: `InputError` with every problem at once.  The YAML border (`sim.files.fields`)
reads files with the same statements through an `Intake` of its own, which adds places and quantities with units; the
JSON Schema and docs/inputs.md are generated from them.  A choice is a `StrEnum` or a `Literal`; its string will do.
"""

from sim.fields.kinds import (
    REFUSED,
    Choice,
    Flag,
    Intake,
    Kind,
    ListOf,
    MappingOf,
    Number,
    OneOf,
    RecordOf,
    Steps,
    Text,
    did_you_mean,
    join,
    shown,
)
from sim.fields.provenance import Confidence, Status
from sim.fields.records import (
    DATE,
    DEEPEST,
    FILLED,
    LARGEST,
    SUFFIXES,
    Record,
    Statement,
    about,
    problem,
    records_below,
    same_as,
    short_name,
    size,
    statements,
)
from sim.fields.registry import Registry

__all__ = [
    "DATE",
    "DEEPEST",
    "FILLED",
    "LARGEST",
    "REFUSED",
    "SUFFIXES",
    "Choice",
    "Confidence",
    "Flag",
    "Intake",
    "Kind",
    "ListOf",
    "MappingOf",
    "Number",
    "OneOf",
    "Record",
    "RecordOf",
    "Registry",
    "Statement",
    "Status",
    "Steps",
    "Text",
    "about",
    "did_you_mean",
    "join",
    "problem",
    "records_below",
    "same_as",
    "short_name",
    "shown",
    "size",
    "statements",
]
