"""InternEvo's 7 B model: what sharding the optimiser over all ranks costs against groups inside a node."""

from __future__ import annotations

from pathlib import Path

import pytest

from sim.files import build, document_of
from sim.simulation import simulate
from sim.validation.published import load_validation_set
from sim.validation.runs import overlay
from sim.validation.validation import requests

PUBLISHED = Path(__file__).parents[2] / "scenarios" / "published" / "llm_steps.yaml"


def _step(identity: str, **changes: object) -> float:
    rows = load_validation_set(PUBLISHED)
    request = next(r for r in requests(rows) if r.id == identity)
    document = overlay(rows.template, {**request.overrides, **changes})
    result = simulate(build(document_of(document, identity)), must_fit=False, levers=False, engine="recursion")
    return result.step.time_s


@pytest.mark.parametrize(
    ("group", "everywhere", "tokens_group", "tokens_everywhere"),
    [
        ("llm0533", {"plan.shard_group": 0}, 3625, 2271),  # 1,024 GPUs
        ("llm0529", {"plan.shard_group": 0}, 3944, 3690),  # 64 GPUs
        ("llm0512", {"plan.shard_group": 0}, 3653, 3094),  # 256 GPUs, tensor parallel 2
    ],
)
def test_cost_of_sharding_over_all_ranks(
    group: str, everywhere: dict[str, object], tokens_group: float, tokens_everywhere: float
) -> None:
    """Ratio of the step times within 15 % of the ratio of the printed tokens per second (the issue's 3625 : 2271)."""
    predicted = _step(group, **everywhere) / _step(group)
    assert predicted == pytest.approx(tokens_group / tokens_everywhere, rel=0.15)
