"""Closed forms of checkpoint and restart, for failures without memory.

λ failures per second, τ useful seconds between checkpoints, C seconds a checkpoint takes, R seconds a restart takes
(failures during checkpoints and restarts included).
"""

from __future__ import annotations

from math import exp, expm1, inf, sqrt

LARGEST = 700.0  # exponents above this overflow: the expectation is infinite for every purpose


def segment_s(rate: float, interval_s: float, checkpoint_s: float, restart_s: float) -> float:
    """Expected wall time of one interval and its checkpoint: e^(λR)·(e^(λ(τ+C)) - 1)/λ  [s].

    Daly, Future Generation Computer Systems 22 (2006), eq. 13 with restarts that may fail. Exact for a Poisson
    process, blocking checkpoints, restart from the last one.
    """
    if rate == 0.0:
        return interval_s + checkpoint_s
    whole = rate * (interval_s + checkpoint_s)
    return inf if whole + rate * restart_s > LARGEST else exp(rate * restart_s) * expm1(whole) / rate


def goodput(rate: float, interval_s: float, checkpoint_s: float, restart_s: float) -> float:
    """Useful time over wall time in the long run: τ / segment."""
    return interval_s / segment_s(rate, interval_s, checkpoint_s, restart_s)


def young_interval_s(rate: float, checkpoint_s: float) -> float:
    """√(2C/λ). Young, Communications of the ACM 17 (1974)."""
    return sqrt(2.0 * checkpoint_s / rate)


def daly_interval_s(rate: float, checkpoint_s: float) -> float:
    """√(2CM)·(1 + ⅓√(C/2M) + C/18M) - C below C = 2M, else M, with M = 1/λ. Daly 2006, eq. 37."""
    mean = 1.0 / rate
    if checkpoint_s >= 2.0 * mean:
        return mean
    x = checkpoint_s / (2.0 * mean)
    return sqrt(2.0 * checkpoint_s * mean) * (1.0 + sqrt(x) / 3.0 + x / 9.0) - checkpoint_s


def optimal_interval_s(rate: float, checkpoint_s: float) -> float:
    """The τ of the largest goodput, exactly: λτ = 1 - e^(-λ(τ+C)).

    From d/dτ of `segment_s`/τ = 0; R drops out. Newton from Young's interval; 0 where a checkpoint is free.
    """
    if checkpoint_s <= 0.0:
        return 0.0
    x = rate * young_interval_s(rate, checkpoint_s)
    for _ in range(60):
        gone = exp(-x - rate * checkpoint_s)
        change = (x - 1.0 + gone) / (1.0 - gone)
        x = max(x - change, 1e-3 * x)
        if abs(change) <= 1e-14 * x:
            break
    return x / rate


def expected_effective_ratio(
    nodes: float, failures_per_node_s: float, restart_s: float, interval_s: float, checkpoint_s: float
) -> float:
    """(1 - N·r·(u₀ + Δt/2)) / (1 + w/Δt): first-order effective training time ratio of a job on N nodes.

    Kokolis et al. (HPCA 2025), arXiv 2410.21680; holds for N·r·(u₀ + Δt) ≪ 1 and a job that does not queue.
    """
    lost = nodes * failures_per_node_s * (restart_s + interval_s / 2.0)
    return (1.0 - lost) / (1.0 + checkpoint_s / interval_s)
