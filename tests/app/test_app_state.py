"""The link that carries a page: what goes in comes out, and whatever else is refused with a sentence."""

from __future__ import annotations

import base64
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.app.controls import CONTROLS, FACTORS, factor_at, place_of, sets_of, values_of
from sim.app.state import MOST_TEXT, Design, State, pack, unpack
from sim.errors import InputError
from sim.simulation.properties import PROPERTIES

TEXT = st.text(st.characters(codec="utf-8", categories=("L", "N", "P", "S", "Zs")), max_size=40)


def packed(text: str | bytes) -> str:
    """A link that carries any text."""
    data = text if isinstance(text, bytes) else text.encode()
    return base64.urlsafe_b64encode(zlib.compress(data, 9)).decode().rstrip("=")


def refusal(link: str) -> str:
    with pytest.raises(InputError) as caught:
        unpack(link)
    return str(caught.value)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(TEXT.map(lambda text: f"description={text}"), max_size=4).map(tuple),
    st.dictionaries(st.sampled_from(sorted(PROPERTIES)), st.floats(0.01, 100.0), max_size=4),
    TEXT.filter(lambda text: bool(text.strip()) and all(c.isprintable() for c in text)),
)
def test_a_link_carries_both_designs(sets, scale, name):
    """Every field of both, to the last digit."""
    sets = tuple(text for text in sets if text.isprintable())
    state = State(Design("today/bert", "", sets, scale), Design(name, "workload: {family: gpt2}\n", sets))
    assert unpack(pack(state)) == state


@pytest.mark.parametrize(
    ("link", "said"),
    [
        ("%%%", "damaged"),
        ("AAAA", "damaged"),
        (packed("a: [")[:-6], "damaged"),
        ("A" * 100_000, "at most 60,000 characters"),
        (packed(b"a" * (20 * MOST_TEXT)), "unpacks to more than"),
        (packed(b"\xff\xfe"), "damaged"),
        (packed("a: ["), "is not YAML"),
        (packed("a: {scenario: today/bert}\nc: 1"), "unknown key"),
        (packed("b: {scenario: today/bert}"), "is required"),
        (packed("a: {scenario: 7}"), "must be text"),
        (packed("a: {scenario: ''}"), "is required"),
        (packed('a: {scenario: "x\\u0000y"}'), "no control characters"),
        (packed('a: {scenario: x, text: "name: \\u001b[31m"}'), "no control characters"),
        (packed("a: {scenario: x, scale: {speed: 2}}"), "is no hardware property"),
        (packed("a: {scenario: x, scale: {peak: 1e9}}"), "must lie between"),
        (packed("a: {scenario: x, scale: {peak: .nan}}"), "scale"),
        (packed("a: {scenario: x, sets: " + str(["plan.data=1"] * 300) + "}"), "must be at most 200"),
        (packed("a: &a [*a, *a]"), "alias"),
        (packed("a: {scenario: !!python/object:os.system x}"), "tags are not accepted"),
    ],
)
def test_a_hostile_link_is_refused_with_a_sentence(link, said):
    """Never a traceback, never more memory than a scenario may take."""
    assert said in refusal(link)


def test_controls_and_overrides_say_the_same():
    """Every control's value becomes an override and comes back; lines of other fields stay lines."""
    values = {control.name: "7" for control in CONTROLS if control.options is None}
    values |= {"workload": "gpt2", "target_kind": "units", "target_value": "2e12", "cluster": "dgx-h100"}
    sets = sets_of(values, "training.jitter=0.02\n\n  name=x ")
    assert values_of(sets) == ({name: values[name] for name in values}, "training.jitter=0.02\nname=x")
    assert [text for text in sets if text.startswith("target.")] == [
        "target.error=null", "target.samples=null", "target.units=2e12", "target.steps=null"
    ]  # fmt: skip
    assert sets_of({"workload": None, "devices": "  "}, "") == ()


def test_every_position_of_a_slider_is_a_factor_and_the_other_way_round():
    """The middle is the files' own value; what lies off the scale is its end."""
    assert [place_of(factor) for factor in FACTORS] == [*range(len(FACTORS))]
    assert (factor_at(None), factor_at(-3), factor_at("99")) == (1.0, FACTORS[0], FACTORS[-1])
