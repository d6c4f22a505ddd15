"""The fastest plan that fits: every plan weighed, priced in closed form, the best simulated."""

from sim.search.plans import Found, Ranked, search

__all__ = ["Found", "Ranked", "search"]
