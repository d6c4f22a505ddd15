"""A learning curve fitted to pilot runs: ε(m) = α·m^β + γ, its intervals, its regions, and what cannot be told.

Method.  Residuals are of ln ε.  For every slope β of a grid the best α and γ ≥ 0 follow by Gauss-Newton.  The 90 %
region of likelihood is S ≤ S_min·(1 + t²/(n − p)) with Student's t of n − p degrees of freedom (profile likelihood:
Bates and Watts, Nonlinear Regression Analysis, 1988, chapter 6); the interval of a constant, and the band of the curve
at any m, are that region's shadow.  Shards in the best-guess region are found by walking down from the large ones
(Hestness et al. 2017, arXiv 1712.00409, figure 6): the first that lies below the band of the curve through the larger
ones, and all smaller ones, are left out.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Generator, Iterator, Sequence
from typing import Final, NamedTuple, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt
from scipy.special import stdtr, stdtrit

from sim.errors import InputError, Problem
from sim.records import dataclass
from sim.scaling.laws import Region, region
from sim.scaling.records import Errors, LearningCurve

Array = npt.NDArray[np.float64]
LEVEL: Final = 0.90
TWO_SIDED: Final = 1.645  # standard deviations of a normal law on either side of 90 %
STEEPEST: Final = 0.5  # |β| of a learner limited by estimation alone (Hestness et al. 2017, section 2)
FLATTEST: Final = 1e-3
SLOPES: Final = 161
FEW_SLOPES: Final = 41  # enough to judge one shard by the curve through the others
ZOOMS: Final = 2
ROUNDS: Final = 8  # of Gauss-Newton; the sum of squares has settled to 1e-9 long before
FEWEST: Final = 4  # shards: three constants and one degree of freedom
SPAN: Final = 8.0  # largest shard / smallest: three doublings
CACHED: Final = 16_384  # numbers of one array of those solved side by side
OUTLIER: Final = 1e-3  # chance, over all shards, that one lies as far from the curve through the others


@dataclass(frozen=True, slots=True)
class Shard:
    """One shard of data: its size in units, the error of its best model, the row it stands in."""

    units: float
    error: float
    row: int = 0


@dataclass(frozen=True, slots=True)
class Dropped:
    """A shard left out of the fit, and why."""

    shard: Shard
    reason: str


@dataclass(frozen=True, slots=True)
class _Slopes:
    """For every slope β: the best A (at the middle of ln m) and γ, the sum of squares, and the curvature there."""

    beta: Array
    a: Array
    gamma: Array
    squares: Array
    aa: Array
    ag: Array
    gg: Array

    @property
    def det(self) -> Array:
        """Determinant of the curvature."""
        return np.maximum(self.aa * self.gg - self.ag**2, 1e-300)

    def where(self, chosen: npt.NDArray[np.bool_] | int) -> _Slopes:
        """The slopes chosen, or one of the sets solved side by side."""
        return _Slopes(*(getattr(self, name)[chosen] for name in self.__slots__))


class _Sought(NamedTuple):
    """What `_solve` is asked for."""

    x: Array
    y: Array
    beta: Array
    bare: bool = False


T = TypeVar("T")
Search: TypeAlias = Generator[_Sought, _Slopes, T]
"""A fit that waits for what it seeks, so that many are solved side by side."""


@dataclass(frozen=True, slots=True)
class CurveFit:
    """The fitted curve, its 90 % intervals, where the regions begin, what was left out, and what to beware of."""

    curve: LearningCurve
    intervals: dict[str, tuple[float, float]]
    used: tuple[Shard, ...]
    dropped: tuple[Dropped, ...]
    rms: float  # of ln ε
    region: Region  # at the largest shard
    best_guess_below: float | None  # units under which the error is that of guessing
    floor_identified: bool  # whether γ is told from 0
    warnings: tuple[str, ...]
    _middle: float
    _free: _Slopes
    _bare: _Slopes  # with γ = 0
    _limit: float

    def at(self, units: float) -> float:
        """ε of the fitted curve."""
        return float(self.curve.alpha * units**self.curve.beta + self.curve.irreducible)

    def band(self, units: float) -> tuple[float, float]:
        """90 % band of the curve at `units` of data (a single run scatters about it by `rms` more)."""
        return _band(self._free, self._bare, self._limit, math.log(units) - self._middle)


def fit_curve(shards: Sequence[Shard], best_guess: float | None = None) -> CurveFit:
    """The curve through `shards`, one point per size; InputError where it cannot be identified."""
    (found,) = fit_curves([shards], best_guess)
    if isinstance(found, InputError):
        raise found
    return found


def fit_curves(pilots: Sequence[Sequence[Shard]], best_guess: float | None = None) -> list[CurveFit | InputError]:
    """The curve of every pilot, or why it cannot be identified; searches that seek alike are solved side by side."""
    searches = [_search(shards, best_guess) for shards in pilots]
    done: dict[int, CurveFit | InputError] = {}
    found: dict[int, _Slopes | None] = dict.fromkeys(range(len(searches)))
    while found:
        alike: dict[tuple[object, ...], list[tuple[int, _Sought]]] = defaultdict(list)
        for k, slopes in found.items():
            try:
                sought = searches[k].send(slopes) if slopes is not None else next(searches[k])
                alike[sought.x.shape, sought.beta.shape, sought.bare].append((k, sought))
            except StopIteration as end:
                done[k] = end.value
            except InputError as error:
                done[k] = error
        found = {k: slopes for group in alike.values() for k, slopes in _side_by_side(group)}
    return [done[k] for k in range(len(searches))]


def _side_by_side(group: Sequence[tuple[int, _Sought]]) -> Iterator[tuple[int, _Slopes]]:
    """What each seeks, a few at a time (arrays that stay in the cache)."""
    first = group[0][1]
    few = max(1, CACHED // (first.beta.size * first.x.shape[-1]))
    for start in range(0, len(group), few):
        part = group[start : start + few]
        x, y, beta = (np.stack([getattr(sought, name) for _, sought in part]) for name in ("x", "y", "beta"))
        slopes = _solve(x, y, beta, first.bare)
        yield from ((k, slopes.where(i)) for i, (k, _) in enumerate(part))


def _search(shards: Sequence[Shard], best_guess: float | None) -> Search[CurveFit]:
    points = sorted(shards, key=lambda shard: shard.units)
    _check(points)
    kept, small = yield from _without_best_guess(points, best_guess)
    kept, far = yield from _without_outliers(kept)
    return (yield from _result(kept, (*small, *far), best_guess, bool(small)))


def _check(points: Sequence[Shard]) -> None:
    """Enough sizes, far enough apart."""
    sizes = sorted({p.units for p in points})
    if len(sizes) < FEWEST:
        rule = f"a curve of three constants needs at least {FEWEST} different sizes, got {len(sizes)}"
        raise InputError(Problem(rule, "units", line=points[-1].row if points else 0))
    if sizes[-1] < SPAN * sizes[0]:
        span = sizes[-1] / sizes[0]
        rule = f"the largest size must be at least {SPAN:g} times the smallest to tell a slope, got {span:.3g}"
        raise InputError(Problem(rule, "units", line=points[-1].row))


def _logs(points: Sequence[Shard]) -> tuple[Array, Array]:
    return np.log([p.units for p in points]), np.log([p.error for p in points])


def _solve(x: Array, y: Array, beta: Array, bare: bool = False) -> _Slopes:
    """Best A and γ ≥ 0 (`bare`: γ = 0) of ln(A·e^(β·(x − mean)) + γ) for every β (Gauss-Newton).

    `x` and `y` are (…, shards) and `beta` (…, slopes): several sets of as many shards are solved side by side.
    """
    x, y = (np.moveaxis(v, -1, 0)[..., None] for v in (x - x.mean(-1, keepdims=True), y))  # sums over the first axis
    power = np.exp(beta * x)
    a, gamma = _step(power, np.exp(y), np.ones_like(power), np.zeros_like(beta), bare)
    a = np.maximum(a, 1e-3 * np.exp(y).mean(0))  # a curve that rises has no other start
    for _ in range(ROUNDS):
        total = a * power + gamma
        da, dg = _step(power, total, y - np.log(total), gamma, bare)
        a, gamma = a + np.clip(da, -0.5 * a, a), gamma + dg
    total = a * power + gamma
    rest = y - np.log(total)
    ja, jg = power / total, 1.0 / total
    return _Slopes(beta, a, gamma, _summed(rest, rest), _summed(ja, ja), _summed(ja, jg), _summed(jg, jg))


def _step(power: Array, total: Array, rest: Array, gamma: Array, bare: bool) -> tuple[Array, Array]:
    """Gauss-Newton step in (A, γ), stopped at γ = 0."""
    jg = np.broadcast_to(1.0 / total, power.shape)
    ja = power * jg
    aa, ag, gg, ra, rg = (_summed(*pair) for pair in ((ja, ja), (ja, jg), (jg, jg), (ja, rest), (jg, rest)))
    det = np.maximum(aa * gg - ag * ag, 1e-300)
    da, dg = (ra * gg - rg * ag) / det, (aa * rg - ag * ra) / det
    stopped = (gamma + dg < 0.0) | bare
    return np.where(stopped, (ra + ag * gamma) / aa, da), np.where(stopped, -gamma, dg)


def _summed(a: Array, b: Array) -> Array:
    """Σ a·b over the shards."""
    return np.asarray(np.einsum("i...,i...->...", a, b))


def _left_out(points: Sequence[Shard]) -> Search[tuple[Array, Array]]:
    """For every shard: ln ε of the best curve through the others there, and the rms of that curve's residuals."""
    x, y = _logs(points)
    others = ~np.eye(len(x), dtype=bool)
    xs, ys = (np.broadcast_to(v, others.shape)[others].reshape(len(x), -1) for v in (x, y))
    rows = np.arange(len(x))
    beta = np.broadcast_to(-np.geomspace(FLATTEST, STEEPEST, FEW_SLOPES), (len(x), FEW_SLOPES))
    for zoom in range(ZOOMS + 1):
        found = yield _Sought(xs, ys, beta)
        best = found.squares.argmin(-1)
        if zoom < ZOOMS:
            low, high = (beta[rows, np.clip(best + step, 0, FEW_SLOPES - 1)] for step in (-1, 1))
            beta = np.linspace(low, high, FEW_SLOPES, axis=-1)
    at = found.a[rows, best] * np.exp(beta[rows, best] * (x - xs.mean(-1))) + found.gamma[rows, best]
    return np.log(at), np.sqrt(found.squares[rows, best] / max(1, len(x) - 4))


def _region(points: Sequence[Shard], slopes: int = SLOPES) -> Search[tuple[_Slopes, _Slopes, float, _Slopes]]:
    """(slopes of the 90 % region, the same with γ = 0, its limit on the sum of squares, the best slope)."""
    x, y = _logs(points)
    freedom = max(1, len(x) - 3)
    wider = 1.0 + float(stdtrit(freedom, 0.5 + LEVEL / 2.0)) ** 2 / freedom
    beta = -np.geomspace(FLATTEST, STEEPEST, slopes)
    for zoom in range(ZOOMS + 1):
        free = yield _Sought(x, y, beta)
        limit = max(float(free.squares.min()), 1e-24) * wider
        inside = free.squares <= limit
        if zoom < ZOOMS:
            beta = _around(beta, beta[inside], slopes)
    best = free.where(np.arange(len(beta)) == free.squares.argmin())
    bare = yield _Sought(x, y, beta, bare=True)
    return free.where(inside), bare.where(inside), limit, best


def _around(axis: Array, inside: Array, slopes: int) -> Array:
    """A finer axis over the region, one old step wider at both ends."""
    ordered = np.sort(axis)
    below, above = ordered[ordered < inside.min()], ordered[ordered > inside.max()]
    low = below[-1] if len(below) else inside.min()
    high = above[0] if len(above) else inside.max()
    return np.linspace(low, high, slopes)


def _band(free: _Slopes, bare: _Slopes, limit: float, x: float) -> tuple[float, float]:
    """Least and greatest A·e^(β·x) + γ over the region: per slope an ellipse in (A, γ), cut at γ = 0."""
    c = np.exp(free.beta * x)
    u, v = (free.gg * c - free.ag) / free.det, (free.aa - free.ag * c) / free.det
    reach = np.sqrt(np.maximum(limit - free.squares, 0.0) / np.maximum(c * u + v, 1e-300))
    half = np.sqrt(np.maximum(limit - bare.squares, 0.0) / bare.aa)
    on_face = bare.squares <= limit
    ends = []
    for sign, outside in ((-1.0, np.inf), (1.0, -np.inf)):
        value = free.a * c + free.gamma + sign * reach * (c * u + v)
        inner = free.gamma + sign * reach * v >= 0.0
        face = np.where(on_face, (bare.a + sign * half) * c, outside)
        ends.append((np.where(inner, value, face), face))
    return float(np.minimum(*ends[0]).min()), float(np.maximum(*ends[1]).max())


def _without_best_guess(
    points: Sequence[Shard], best_guess: float | None
) -> Search[tuple[list[Shard], tuple[Dropped, ...]]]:
    """Walk down from the largest shards while the next smaller one lies in the band of those above it."""
    first = len(points)
    for k in range(len(points) - FEWEST - 1, -1, -1):
        above = points[k + 1 :]
        free, bare, limit, best = yield from _region(above, FEW_SLOPES)
        x, _ = _logs(above)
        low, _high = _band(free, bare, limit, math.log(points[k].units) - float(x.mean()))
        freedom = max(1, len(above) - 3)
        scatter = math.sqrt(float(best.squares[0]) / freedom) * float(stdtrit(freedom, 1.0 - OUTLIER))
        if math.log(points[k].error) < math.log(max(low, 1e-300)) - scatter:
            first = k + 1
            break
    else:
        first = 0
    guessing = [p for p in points if best_guess is not None and p.error >= 0.98 * best_guess]
    first = max(first, sum(1 for p in points if guessing and p.units <= guessing[-1].units))
    if len(points) - first < FEWEST:
        rule = f"only {len(points) - first} shards lie beyond the best-guess region; {FEWEST} are needed"
        raise InputError(Problem(rule, "units", line=points[-1].row))
    reason = "in the best-guess region: below the curve through the larger shards"
    return list(points[first:]), tuple(Dropped(p, reason) for p in points[:first])


def _without_outliers(points: Sequence[Shard]) -> Search[tuple[list[Shard], tuple[Dropped, ...]]]:
    """Leave out the shard farthest from the curve through the others, as long as one is absurdly far."""
    kept, dropped = list(points), []
    while len(kept) > FEWEST + 1:
        at, rms = yield from _left_out(kept)
        away = np.abs(_logs(kept)[1] - at) / np.maximum(rms, 1e-4) / math.sqrt(1.5)  # the curve's own spread: half
        k = int(away.argmax())
        chance = len(kept) * 2.0 * float(stdtr(max(1, len(kept) - 4), -away[k]))
        if chance > OUTLIER or k in (0, len(kept) - 1):
            break
        dropped.append(Dropped(kept.pop(k), f"{away[k]:.0f} standard deviations from the curve through the others"))
    return kept, tuple(dropped)


def _result(
    points: Sequence[Shard], dropped: tuple[Dropped, ...], best_guess: float | None, guessed: bool
) -> Search[CurveFit]:
    """Constants, intervals and warnings of the curve through the shards that are left."""
    free, bare, limit, best = yield from _region(points)
    x, _ = _logs(points)
    middle = float(x.mean())
    a, beta, gamma = float(best.a[0]), float(best.beta[0]), float(best.gamma[0])
    half = np.sqrt(np.maximum(limit - free.squares, 0.0) * free.aa / free.det)
    floor = (max(0.0, float((free.gamma - half).min())), float((free.gamma + half).max()))
    intervals = {"beta": (float(free.beta.min()), float(free.beta.max())), "irreducible": floor}
    if intervals["beta"][0] < -0.9 * STEEPEST and intervals["beta"][1] > -0.1 * STEEPEST:
        rule = "the shards fit almost any slope from 0 to -0.5: nothing can be projected from them"
        raise InputError(Problem(rule, "error", hint="more shards, a wider span of sizes, or seeds averaged"))
    alpha = a * math.exp(-beta * middle)
    curve = LearningCurve(alpha, beta, gamma, best_guess, errors=_errors(points, best, middle, intervals))
    largest = points[-1].units
    warnings = _warnings(free, floor, points[-1], guessed)
    freedom = max(1, len(points) - 3)
    return CurveFit(
        curve=curve,
        intervals=intervals,
        used=tuple(points),
        dropped=dropped,
        rms=math.sqrt(float(best.squares[0]) / freedom),
        region=region(curve, largest),
        best_guess_below=points[0].units if guessed else None,
        floor_identified=floor[0] > 0.0,
        warnings=warnings,
        _middle=middle,
        _free=free,
        _bare=bare,
        _limit=limit,
    )


def _warnings(free: _Slopes, floor: tuple[float, float], last: Shard, guessed: bool) -> tuple[str, ...]:
    found = []
    if floor[0] <= 0.0:
        found.append(
            f"the irreducible error is NOT identified: anything from 0 to {floor[1]:.3g} fits these shards; "
            f"what lies below the last error of {last.error:.4g} rests on that"
        )
    if float(free.beta.min()) < -0.98 * STEEPEST:
        found.append("the slope may be as steep as -0.5, where the fit is cut off: its band is one-sided")
    if guessed:
        found.append("the smallest shards are in the best-guess region and were left out")
    return tuple(found)


def _errors(points: Sequence[Shard], best: _Slopes, middle: float, intervals: dict[str, tuple[float, float]]) -> Errors:
    """Standard errors and correlations of (ln α, β, γ) from the curvature at the best fit; γ = 0 has none."""
    x, _ = _logs(points)
    a, beta, gamma = float(best.a[0]), float(best.beta[0]), float(best.gamma[0])
    power = a * np.exp(beta * (x - middle))
    share = power / (power + gamma)
    columns = [share, share * x]  # of ln α and β, m counted from 1
    names = ["alpha", "beta"]
    if gamma > 0.0:
        columns.append(1.0 / (power + gamma))
        names.append("irreducible")
    sigma2 = float(best.squares[0]) / max(1, len(points) - 3)
    covariance = np.linalg.pinv(np.stack(columns) @ np.stack(columns).T) * sigma2
    spread = np.sqrt(np.diag(covariance))
    scale = {"alpha": a * math.exp(-beta * middle), "beta": 1.0, "irreducible": 1.0}
    standard = {name: float(s) * scale[name] for name, s in zip(names, spread, strict=True)}
    if gamma == 0.0:
        standard["irreducible"] = intervals["irreducible"][1] / TWO_SIDED
    pairs = [(i, j) for i in range(len(names)) for j in range(i)]
    bounded = {
        f"{names[j]} {names[i]}": float(np.clip(covariance[i, j] / max(spread[i] * spread[j], 1e-300), -1.0, 1.0))
        for i, j in pairs
    }
    return Errors(standard, bounded, "curvature of the sum of squares at the fit")
