"""Exact max-min fair rates, and when unequal flows finish under them."""

from __future__ import annotations

import numpy as np

from sim.network.topologies.base import Floats, Ints

#: Shares that differ by less than this relative amount are one bottleneck.
TIE = 1e-12


def maxmin(routes: Ints, cap: Floats) -> Floats:
    """Max-min fair rate of every flow (B/s); a flow that crosses no link has an infinite rate.

    Local-bottleneck filling: a link whose fair share is the smallest met by ALL its active flows on their whole
    path is final; its flows are frozen at that share.  Iterations = depth of the chain of bottlenecks.
    The result is max-min fair (Bertsekas & Gallager, Data Networks, §6.5.2): every flow has a saturated link on which
    no flow is faster.
    """
    flows, links = len(routes), len(cap)
    rate = np.full(flows, np.inf)
    remaining = np.append(cap.astype(float), np.inf)
    active = np.flatnonzero((routes >= 0).any(axis=1))
    path = routes[active]
    while len(active):
        count = np.bincount(path.ravel() + 1, minlength=links + 1)[1:]
        share = np.full(links + 1, np.inf)  # the last place answers for padding (-1)
        used = count > 0
        share[:-1][used] = np.maximum(remaining[:-1][used], 0.0) / count[used]
        best = share[path].min(axis=1)
        lowest = np.full(links + 1, np.inf)
        np.minimum.at(lowest, path.ravel(), np.repeat(best, path.shape[1]))
        final = np.zeros(links + 1, dtype=bool)
        final[:-1] = used & (lowest[:-1] >= share[:-1] * (1.0 - TIE))
        frozen = final[path].any(axis=1)
        rate[active[frozen]] = best[frozen]
        taken = np.repeat(best[frozen], path.shape[1])
        remaining[:-1] -= np.bincount(path[frozen].ravel() + 1, weights=taken, minlength=links + 1)[1:]
        active, path = active[~frozen], path[~frozen]
    return rate


def fluid(routes: Ints, cap: Floats, nbytes: Floats) -> Floats:
    """Finish time (s) of every flow when all start together and share max-min fairly; freed capacity is re-shared.

    One solve per distinct finish time.
    """
    finish = np.zeros(len(routes))
    left = nbytes.astype(float).copy()
    active = np.flatnonzero(left > 0)
    now = 0.0
    while len(active):
        rate = maxmin(routes[active], cap)
        need = left[active] / rate
        step = float(need.min())
        now += step
        left[active] -= rate * step
        done = need <= step * (1.0 + 1e-12)
        finish[active[done]] = now
        active = active[~done]
    return finish


def phase_transfer(routes: Ints, cap: Floats, nbytes: Floats) -> float:
    """Seconds until the last flow of a phase is through, latency apart.

    Equal flows: bytes · max over links of flows/cap, the exact max-min answer (the slowest
    flow gets the smallest share).
    """
    if not len(routes):
        return 0.0
    if nbytes.min() == nbytes.max():
        count = np.bincount(routes.ravel() + 1, minlength=len(cap) + 1)[1:]
        used = count > 0
        return float(nbytes[0] * (count[used] / cap[used]).max()) if used.any() else 0.0
    return float(fluid(routes, cap, nbytes).max())
