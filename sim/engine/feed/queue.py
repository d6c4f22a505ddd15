"""Closed forms of a server with constant service that waits for random arrivals."""

from __future__ import annotations

from math import exp, factorial


def waiting_server_s(gap_s: float, service_s: float, places: int) -> float:
    """Mean idle time of the server per service in a queue M/D/1/N: service / (ρ·b(N-1)), ρ = service/gap   [s]

    b(n) = Σ_{k=0}^{n} (-1)^k/k!·(n-k)^k·ρ^k·e^((n-k)ρ);  `places` = N counts the one in service.
    Probability of an empty queue 1/(1 + ρ·b(N-1)): Brun and Garcia, Journal of Applied Probability 37 (2000).
    """
    rho, n = service_s / gap_s, places - 1
    total = sum((-1.0) ** k / factorial(k) * ((n - k) * rho) ** k * exp((n - k) * rho) for k in range(n + 1))
    return service_s / (rho * total)
