"""Dataclasses read from nodes: types, units, bounds, and every problem at once."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import pytest

from sim.device.records import Compute, Power
from sim.errors import InputError
from sim.fields import Record, problem
from sim.files.fields import read, read_partial
from sim.files.loader import parse
from sim.network.records import LinkType
from sim.plan.records import Plan, Sharding
from sim.scenario import SlowDevice, Target, Training
from sim.workload.records import Numerics


@dataclass(frozen=True, slots=True)
class Inner(Record):
    rate: float = field(metadata={"doc": "how fast", "dimension": "bandwidth", "gt": 0})
    share: float = field(default=1.0, metadata={"ge": 0, "le": 1})


@dataclass(frozen=True, slots=True)
class Outer(Record):
    name: str
    capacity_bytes: float
    count: int = field(default=1, metadata={"ge": 1})
    kind: Literal["small", "large"] = "small"
    inner: Inner | None = None
    inners: tuple[Inner, ...] = ()
    by_format: Mapping[Literal["fp32", "bf16"], float] = field(default_factory=dict)
    flag: bool = False
    end: int | str = 0

    def contradictions(self):
        if self.kind == "large" and self.count == 1:
            yield problem("count", "must be more than one for large", self.count)


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
        ("{name: a, capacity: -1 B}", '1:21: capacity: must be at least 0, got "-1 B"'),
        ("{name: a, capacity: nan B}", '1:21: capacity: must be finite, got "nan B"'),
        ("{name: a, capacity_bytes: .inf}", "1:27: capacity_bytes: must be finite, got inf"),
        (
            "{name: a, capacity: 1 B, capacity_bytes: 1}",
            "1:1: capacity and capacity_bytes are one field",
        ),
        ("{name: a, capacity: 1 B, inner: {rate: 1 B/s, share: .nan}}", "1:54: inner.share: must be finite, got nan"),
        ("{name: a, capacity: 1 B, inner: {rate: 0 B/s}}", '1:40: inner.rate: must be positive, got "0 B/s"'),
        ("{name: a, capacity: 1 B, kind: large}", "1:1: count: must be more than one for large, got 1"),
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


BAD = """\
name: 3
count: 0
kind: larg
inner: {rate: 8 GB/s, share: 2}
by_format: {fp31: 1, bf16: true}
flag: 1
inners: {}
end: 1.5
capacity_bytes: -5
"""


def test_python_and_yaml_say_the_same_sentences():
    """What a field states holds however its record is made; YAML adds the place."""
    with pytest.raises(InputError) as caught:
        Outer(3, -5, 0, "larg", None, {}, {"fp31": 1, "bf16": True}, 1, 1.5)
    python = {str(p) for p in caught.value.problems}
    with pytest.raises(InputError) as caught:
        Inner(8e9, 2)
    python |= {f"inner.{p}" for p in caught.value.problems}
    assert {text.split(": ", 1)[1] for text in problems(BAD)} == python


def test_a_record_takes_what_only_needs_another_type():
    """The string of a choice, a list for a tuple, a whole float for a count."""
    made = Outer("a", 1, count=2.0, inners=[Inner(1)])
    assert (type(made.capacity_bytes), type(made.count), made.inners) == (float, int, (Inner(1.0),))
    assert type(Plan(1, 1, sharding="full").sharding) is Sharding


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Compute(-1e15, 0.9), "peak_flops: must be positive, got -1000000000000000.0"),
        (
            lambda: Plan(1, 1, sharding="ful"),
            'sharding: must be one of none, optimizer, gradients, full, got "ful" (did you mean "full"?)',
        ),
        (
            lambda: Plan(1, 1, order=("data",)),
            "order: must name each of tensor, context, data, pipeline once",
        ),
        (lambda: Power(300.0, 400.0), "idle_w: must be at most the peak of 300 W, got 400.0"),
        (lambda: Power(300.0, 50.0, cap_w=40.0), "cap_w: must be at least the idle power of 50 W, got 40.0"),
        (lambda: LinkType("a", 1e9, 1e-6, fast_latency=-3), "fast_latency: must be positive, got -3"),
        (lambda: LinkType("a", 1e9, 1e-6, links_per_device=-1), "links_per_device: must be at least 1, got -1"),
        (
            lambda: Numerics(launch="graf"),
            'launch: must be one of eager, waited, blocked, graph, got "graf"',
        ),
        (lambda: Target(steps=math.inf), "steps: must be finite, got inf"),
        (lambda: Training(slow_devices=(SlowDevice(0, 1e308),)), "factor: must be at most 1e+30, got 1e+308"),
    ],
)
def test_records_are_checked_where_they_are_made(make, says):
    """A Python user gets the refusals of YAML."""
    with pytest.raises(InputError, match=re.escape(says)):
        make()
