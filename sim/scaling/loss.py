"""Loss against model size and data, its compute-optimal inverse, and repeated data.

Forms: Hoffmann et al. 2022 (arXiv 2203.15556), eq. 2 and 4; Kaplan et al. 2020 (arXiv 2001.08361), eq. 1.5;
Muennighoff et al. 2023 (arXiv 2305.16264), section 3 and appendix A.
Training costs 6·N·D FLOPs, so the cheapest way to a loss has the least N·D.
"""

from __future__ import annotations

import math
from typing import Final

from sim.errors import Unreachable, UnreachableError
from sim.scaling.laws import check_error
from sim.scaling.records import LossLaw

SIZES: Final = 400  # model sizes tried between the unconstrained optimum and e^REACH times it, 2 % apart
REACH: Final = 6.0


def loss_at(law: LossLaw, parameters: float, units: float, unique: float | None = None) -> float:
    """L(N, D); with `unique` units of data, `units`/`unique` passes are worth less than fresh data."""
    size, data = effective(law, parameters, units, unique)
    if law.form == "kaplan":
        ratio = law.size_exponent / law.data_exponent
        joint: float = (law.size_coefficient / size) ** ratio + law.data_coefficient / data
        return float(joint**law.data_exponent)
    return float(
        law.irreducible
        + law.size_coefficient / size**law.size_exponent
        + law.data_coefficient / data**law.data_exponent
    )


def effective(law: LossLaw, parameters: float, units: float, unique: float | None) -> tuple[float, float]:
    """N' = U_N·(1 + R_N*·(1 − e^(−R_N/R_N*))) and D' likewise, with R the repeats beyond the first pass.

    U_N is the size that is compute-optimal for the unique data: what exceeds it counts as repeated parameters.
    """
    if unique is None or law.repeats is None:
        return parameters, units
    base = min(size_for_data(law, unique), parameters)
    data = _worth(min(units, unique), max(units / unique - 1.0, 0.0), law.repeats.data_decay)
    return _worth(base, max(parameters / base - 1.0, 0.0), law.repeats.size_decay), data


def _worth(once: float, repeats: float, decay: float) -> float:
    """U + U·R*·(1 − e^(−R/R*))."""
    return once * (1.0 + decay * (1.0 - math.exp(-repeats / decay)))


LARGEST: Final = 1e300


def optimum(law: LossLaw, loss: float) -> tuple[float, float]:
    """(N, D) of the fewest FLOPs 6·N·D that reach `loss`.

    `sum`: at the optimum a·A/N^a = b·B/D^b, hence A/N^a = (L − E)·b/(a + b).
    `kaplan`: the terms u = (A/N)^(a/b) and v = B/D of L^(1/b) = u + v are as b to a.
    """
    check_error(loss, law.irreducible, law.errors.standard.get("irreducible"))
    try:
        size, data = _optimum(law, loss)
    except (OverflowError, ZeroDivisionError):
        size = data = math.inf
    if not (0.0 < size < LARGEST and 0.0 < data < LARGEST):
        said = f"an error of {loss:g} needs a model or more data than a number can hold"
        raise UnreachableError(Unreachable(said, loss, law.irreducible))
    return size, data


def _optimum(law: LossLaw, loss: float) -> tuple[float, float]:
    a, b = law.size_exponent, law.data_exponent
    if law.form == "kaplan":
        both = loss ** (1.0 / b)
        u, v = both * b / (a + b), both * a / (a + b)
        return law.size_coefficient * u ** (-b / a), law.data_coefficient / v
    excess = loss - law.irreducible
    return (
        (law.size_coefficient * (a + b) / (excess * b)) ** (1.0 / a),
        (law.data_coefficient * (a + b) / (excess * a)) ** (1.0 / b),
    )


def optimum_for_compute(law: LossLaw, flops: float) -> tuple[float, float]:
    """(N, D) of the least loss at 6·N·D = `flops`: N = G·(C/6)^(b/(a+b)), G = (a·A/(b·B))^(1/(a+b))."""
    a, b = law.size_exponent, law.data_exponent
    if law.form == "kaplan":
        low, high = optimum(law, 1.0)  # the frontier is a power law: N ∝ D^(b/a)
        scale = (flops / 6.0 / (low * high)) ** (1.0 / (1.0 + b / a))
        return low * scale ** (b / a), high * scale
    g = (a * law.size_coefficient / (b * law.data_coefficient)) ** (1.0 / (a + b))
    size = g * (flops / 6.0) ** (b / (a + b))
    return size, flops / 6.0 / size


def size_for_data(law: LossLaw, units: float) -> float:
    """N that is compute-optimal for D units: a·A/N^a = b·B/D^b."""
    a, b = law.size_exponent, law.data_exponent
    if law.form == "kaplan":
        size, data = optimum(law, 1.0)
        return float(size * (units / data) ** (b / a))
    return float((a * law.size_coefficient * units**b / (b * law.data_coefficient)) ** (1.0 / a))


def optimum_with_repeats(law: LossLaw, loss: float, unique: float) -> tuple[float, float]:
    """(N, D) of the fewest FLOPs that reach `loss` with only `unique` units of data, passed over D/`unique` times."""
    size, data = optimum(law, loss)
    if data <= unique or law.repeats is None:
        return size, data
    floor = loss_at(law, math.exp(700.0 / 8), math.exp(700.0 / 8), unique)
    if loss <= floor:
        said = (
            f"an error of {loss:g} is at or below {floor:.4g}, the least that {unique:.3g} units reach "
            "however often they are repeated"
        )
        raise UnreachableError(Unreachable(said, loss, floor))
    sizes = [size * math.exp(REACH * k / SIZES) for k in range(-SIZES // 4, SIZES + 1)]
    tried = [(n * units, n, units) for n in sizes if (units := _units_for(law, n, loss, unique)) is not None]
    if not tried:
        raise UnreachableError(Unreachable(f"an error of {loss:g} is out of reach of {unique:.3g} units", loss, floor))
    _, best, units = min(tried)
    return best, units


def _units_for(law: LossLaw, parameters: float, loss: float, unique: float) -> float | None:
    """Units of data (repeated) that bring a model of that size to `loss`; None where none do."""
    low, high = math.log(unique) - 12.0, math.log(unique) + 12.0
    if loss_at(law, parameters, math.exp(high), unique) > loss:
        return None
    for _ in range(60):
        middle = (low + high) / 2.0
        low, high = (middle, high) if loss_at(law, parameters, math.exp(middle), unique) > loss else (low, middle)
    return math.exp(high)
