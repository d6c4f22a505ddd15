"""Every model family by the name a scenario uses."""

from __future__ import annotations

from typing import Final

from sim.workload.first_order import FirstOrder
from sim.workload.records import Model
from sim.workload.recurrent import LstmLM

FAMILIES: Final[dict[str, type[Model]]] = {
    "first_order": FirstOrder,
    "lstm_lm": LstmLM,
}
