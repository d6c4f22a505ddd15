"""Dataclasses read from nodes: types, units, bounds, and every problem at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import pytest

from sim.errors import InputError, Problem
from sim.files.fields import model_of, read, read_partial
from sim.files.loader import parse


@dataclass(frozen=True, slots=True)
class Inner:
    rate: float = field(metadata={"doc": "how fast", "dimension": "bandwidth", "gt": 0})
    share: float = field(default=1.0, metadata={"ge": 0, "le": 1})


@dataclass(frozen=True, slots=True)
class Outer:
    name: str
    capacity_bytes: float
    count: int = field(default=1, metadata={"ge": 1})
    kind: Literal["small", "large"] = "small"
    inner: Inner | None = None
    inners: tuple[Inner, ...] = ()
    by_format: Mapping[Literal["fp32", "bf16"], float] = field(default_factory=dict)
    flag: bool = False
    end: int | str = 0

    def __post_init__(self) -> None:
        if self.kind == "large" and self.count == 1:
            raise InputError(Problem("must be more than one for large", "count"))


def problems(text, cls=Outer):
    """Messages of everything wrong, without the file's name."""
    with pytest.raises(InputError) as caught:
        read(cls, parse(text, "f"))
    return [str(p).removeprefix("f:") for p in caught.value.problems]


def test_units_come_from_metadata_or_from_the_name():
    """`capacity_bytes` may be written `capacity` with a unit, or in full as bare bytes."""
    short = read(Outer, parse("{name: a, capacity: 2 GiB, inner: {rate: 8 Gb/s}}"))
    assert short == Outer("a", 2.0**31, inner=Inner(1e9))
    assert read(Outer, parse("{name: a, capacity_bytes: 5}")) == Outer("a", 5.0)
    assert read(Outer, parse("{name: a, capacity_bytes: 5 B}")) == Outer("a", 5.0)


def test_what_is_not_given_keeps_the_default_of_the_dataclass():
    """A default stands once."""
    assert read(Outer, parse("{name: a, capacity: 1 B}")) == Outer("a", 1.0)


def test_null_is_the_default_where_it_is_no_value():
    """An upper file or `--set` can take a value back."""
    assert read(Outer, parse("{name: a, capacity: 1 B, count: , by_format: null, inner: ~}")) == Outer("a", 1.0)
    assert problems("{name: null, capacity: 1 B}") == ["1:8: name: must be text, got null"]


def test_a_whole_float_is_a_whole_number():
    """1e3 is a float in YAML; 1.5 is not a count."""
    assert read(Outer, parse("{name: a, capacity: 1 B, count: 1e3}")).count == 1000
    assert problems("{name: a, capacity: 1 B, count: 1.5}") == ["1:33: count: must be a whole number, got 1.5"]


def test_all_problems_are_told_at_once_in_file_order():
    """Unknown key, missing unit, wrong dimension, wrong type, bounds, literals."""
    text = """\
name: 3
capacity: 5
count: 0
kind: larg
inner: {rate: 8 GB, share: 2, shar: 1}
by_format: {fp31: 1, bf16: true}
flag: 1
inners: {rate: 1 B/s}
cuont: 1
"""
    assert problems(text) == [
        "1:7: name: must be text, got 3",
        '2:11: capacity: needs a unit, written like "80 GiB" or "40 GB", got 5',
        "3:8: count: must be at least 1, got 0",
        '4:7: kind: must be one of small, large, got "larg" (did you mean "large"?)',
        '5:15: inner.rate: must be bandwidth, written like "900 GB/s" or "400 Gb/s", got "8 GB" (GB is bytes)',
        "5:28: inner.share: must be at most 1, got 2",
        '5:31: inner.shar: unknown key (did you mean "share"?)',
        '6:13: by_format.fp31: must be one of fp32, bf16, got "fp31" (did you mean "fp32"?)',
        "6:28: by_format.bf16: must be a number, got true",
        "7:7: flag: must be true or false, got 1",
        "8:9: inners: must be a list, got a mapping",
        '9:1: cuont: unknown key (did you mean "count"?)',
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{name: a}", "1:1: capacity_bytes: is required"),
        ("{name: a, capacity: -1 B}", '1:21: capacity: must be positive, got "-1 B"'),
        ("{name: a, capacity: nan B}", '1:21: capacity: must be finite, got "nan B"'),
        ("{name: a, capacity_bytes: .inf}", "1:27: capacity_bytes: must be finite, got inf"),
        (
            "{name: a, capacity: 1 B, capacity_bytes: 1}",
            "1:1: capacity and capacity_bytes are one field",
        ),
        ("{name: a, capacity: 1 B, inner: {rate: 1 B/s, share: .nan}}", "1:54: inner.share: must be finite, got nan"),
        ("{name: a, capacity: 1 B, inner: {rate: 0 B/s}}", '1:40: inner.rate: must be positive, got "0 B/s"'),
        ("{name: a, capacity: 1 B, kind: large}", "1:1: count: must be more than one for large"),
        ("[1]", "1:1: must be a mapping, got a list"),
        ("{name: a, capacity: 1 B, end: 1.5}", "1:31: end: must be a whole number or text, got 1.5"),
    ],
)
def test_each_rule_has_its_sentence(text, message):
    """One line each, with the place, the field, the rule and the value."""
    assert problems(text) == [message]


def test_partial_reading_checks_what_is_given_and_misses_nothing():
    """Sizes left out are solved for later."""
    assert read_partial(Outer, parse("{count: 2}")) == {"count": 2}
    with pytest.raises(InputError, match="unknown key"):
        read_partial(Outer, parse("{counts: 2}"))


def test_the_schema_says_what_the_fields_say():
    """Description, bounds, units and both spellings come from the one place."""
    schema = model_of(Outer).model_json_schema()
    inner = schema["$defs"]["Inner"]["properties"]["rate"]
    assert inner["description"] == "how fast"
    assert inner["examples"] == ["900 GB/s", "400 Gb/s"]
    assert {"capacity", "capacity_bytes"} <= set(schema["properties"])
    assert schema["additionalProperties"] is False
