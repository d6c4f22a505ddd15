"""Quantities: what is read, what is refused, and what an independent tool says."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.errors import InputError
from sim.units import DIMENSIONS, dimension_of, format_quantity, parse_quantity, spelling


@pytest.mark.parametrize(
    ("text", "dimension", "value"),
    [
        ("900 GB/s", "bandwidth", 900e9),
        ("400 Gb/s", "bandwidth", 50e9),
        ("80 GiB", "bytes", 80 * 2**30),
        ("80 GB", "bytes", 80e9),
        ("80GB", "bytes", 80e9),
        ("1e3 kB", "bytes", 1e6),
        ("312 TFLOP/s", "flops", 312e12),
        ("1444 TFLOP", "flop", 1444e12),
        ("1.2 us", "seconds", 1.2e-6),
        ("1.2 µs", "seconds", 1.2e-6),
        ("5 min", "seconds", 300.0),
        ("2 days", "seconds", 172800.0),
        ("700 W", "watts", 700.0),
        ("1.4 GHz", "hertz", 1.4e9),
        ("1 kWh", "joules", 3.6e6),
        ("0.12 USD/kWh", "usd_per_joule", 0.12 / 3.6e6),
        ("3.6 USD/h", "usd_per_second", 0.001),
        ("4 pJ/b", "joules_per_byte", 32e-12),
        ("360 gCO2/kWh", "kilograms_per_joule", 1e-7),
        ("0 s", "seconds", 0.0),
    ],
)
def test_a_quantity_is_its_si_value(text, dimension, value):
    """b is an eighth of B, GB is 10⁹ and GiB 2³⁰."""
    assert parse_quantity(text, dimension) == pytest.approx(value, rel=1e-15)


def test_decimal_text_gives_the_float_a_person_would_write():
    """No error is added by the prefix: 0.1 us is the float 1e-7."""
    assert parse_quantity("0.1 us", "seconds") == 1e-7
    assert parse_quantity("0.3 GB", "bytes") == 0.3e9


@pytest.mark.parametrize(
    ("text", "dimension", "rule"),
    [
        ("80", "bytes", "needs a unit"),
        (80, "bytes", "needs a unit"),
        (80.5, "bytes", "needs a unit"),
        (True, "bytes", "must be a quantity"),
        (None, "bytes", "must be a quantity"),
        ("900 GB", "bandwidth", "must be bandwidth"),
        ("900 GB/s", "bytes", "must be bytes"),
        ("1 s", "bytes", "must be bytes"),
        ("-80 GiB", "bytes", "must be positive"),
        ("nan s", "seconds", "must be finite"),
        ("inf s", "seconds", "must be finite"),
        ("-inf s", "seconds", "must be finite"),
        ("1e999 s", "seconds", "must be finite"),
        ("fast", "seconds", "must be a number and a unit"),
        ("1,000 s", "seconds", "must be seconds"),
        ("80 gb", "bytes", "must be bytes"),
        ("1 / s", "bandwidth", "must be bandwidth"),
        ("", "bytes", "must be a number and a unit"),
    ],
)
def test_what_is_not_a_quantity_is_refused_with_the_rule(text, dimension, rule):
    """Missing unit, wrong dimension, negative, NaN and infinite each have their sentence."""
    with pytest.raises(InputError) as caught:
        parse_quantity(text, dimension)
    assert caught.value.problems[0].rule.startswith(rule)


@pytest.mark.parametrize(
    ("text", "dimension", "hint"),
    [
        ("5 KB", "bytes", "kB is 1000, KiB is 1024"),
        ("312 TFLOPS", "flops", "write TFLOP/s"),
        ("400 Gbps", "bandwidth", "write Gb/s"),
        ("400 GB", "bandwidth", "GB is bytes"),
    ],
)
def test_common_slips_get_a_remedy(text, dimension, hint):
    """The spellings people reach for first are answered with the right one."""
    with pytest.raises(InputError) as caught:
        parse_quantity(text, dimension)
    assert caught.value.problems[0].hint == hint


def test_a_bare_number_is_answered_with_the_spelling():
    """The message shows how it is written."""
    with pytest.raises(InputError, match=r'written like "80 GiB" or "40 GB", got 80$'):
        parse_quantity(80, "bytes")


@given(st.floats(1e-14, 1e22), st.sampled_from(DIMENSIONS), st.booleans())
@settings(max_examples=50, deadline=None)
def test_formatting_is_read_back(value, dimension, binary):
    """`parse_quantity(format_quantity(x))` is x to the digits shown."""
    assert parse_quantity(format_quantity(value, dimension, binary), dimension) == pytest.approx(value, rel=1e-3)


def test_every_dimension_shows_an_example_that_it_reads():
    """The spelling in messages is itself valid."""
    for dimension in DIMENSIONS:
        for example in spelling(dimension).split(" or "):
            assert math.isfinite(parse_quantity(example.strip('"'), dimension))


def test_formats_as_an_architect_writes():
    """Prefixes are chosen so that a few digits stand before the point."""
    assert format_quantity(900e9, "bandwidth") == "900 GB/s"
    assert format_quantity(80 * 2**30, "bytes", binary=True) == "80 GiB"
    assert format_quantity(1.2e-6, "seconds") == "1.2 us"
    assert format_quantity(86400.0 * 30, "seconds") == "30 days"
    assert format_quantity(0.0, "seconds") == "0 s"


def test_units_belong_to_one_dimension():
    """A unit alone says what it measures."""
    assert dimension_of("Gb/s") == "bandwidth"
    assert dimension_of("pJ/b") == "joules_per_byte"
    assert dimension_of("furlong") is None


@pytest.mark.parametrize(
    ("text", "dimension", "independent", "si"),
    [
        ("900 GB/s", "bandwidth", "900 gigabyte/second", "byte/second"),
        ("400 Gb/s", "bandwidth", "400 gigabit/second", "byte/second"),
        ("80 GiB", "bytes", "80 gibibyte", "byte"),
        ("7 TB", "bytes", "7 terabyte", "byte"),
        ("1.2 us", "seconds", "1.2 microsecond", "second"),
        ("36 h", "seconds", "36 hour", "second"),
        ("2.5 MWh", "joules", "2.5 megawatt_hour", "joule"),
        ("1.7 GHz", "hertz", "1.7 gigahertz", "hertz"),
        ("4 pJ/b", "joules_per_byte", "4 picojoule/bit", "joule/byte"),
        ("380 g/kWh", "kilograms_per_joule", "380 gram/kilowatt_hour", "kilogram/joule"),
    ],
)
def test_pint_agrees(text, dimension, independent, si):
    """pint reads the same quantities, their units spelled out, as an independent oracle."""
    pint = pytest.importorskip("pint")
    expected = pint.UnitRegistry()(independent).to(si).magnitude
    assert parse_quantity(text, dimension) == pytest.approx(expected, rel=1e-12)
