"""In which year the trend of shipped chips reaches what a deadline needs."""

from __future__ import annotations

import math

from sim.horizon.points import decimal_year
from sim.horizon.trends import fits
from sim.study.require import Needed, Requirement


def years(found: Requirement) -> list[float | None]:
    """Of every property, from the date of the chip on: year + ln(need/have)/ln(growth per year).

    The year itself where it has what it needs; None where no trend (or no date) is known, or the trend leads away.
    """
    trends = fits()
    start = decimal_year(found.date) if found.date else None

    def year(needed: Needed) -> float | None:
        ratio = needed.need / needed.have
        if start is None or (ratio <= 1.0) == needed.prop.more or ratio == 1.0:
            return start
        trend = trends.get(needed.trend)
        if trend is None or trend.growth <= 1.0:
            return None
        return start + math.log(ratio) / math.log(trend.growth)

    return [year(needed) for needed in found.needed]


def reached(of: list[float | None]) -> float | None:
    """The year in which all are."""
    known = [year for year in of if year is not None]
    return max(known) if known and len(known) == len(of) else None
