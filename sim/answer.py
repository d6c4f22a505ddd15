"""What every answer can do: be read as text, as plain values, as a page and as a table.

A record of an answer names the module that shows it; that module is imported when the answer is shown, so that the
rooms that compute know nothing of reports.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    import pandas


class Answer:
    """Base of the records that answer a question; `REPORT` has `render`, `to_json` and `as_table` for it."""

    __slots__ = ()
    REPORT: ClassVar[str]

    def to_dict(self) -> dict[str, Any]:
        """Plain values as `--json` prints them: SI numbers with the unit in the key."""
        return dict(import_module(self.REPORT).to_json(self))

    def to_frame(self) -> pandas.DataFrame:
        """Rows and columns as a pandas DataFrame: SI numbers in full, the unit at the end of the column's name."""
        return import_module("sim.report.tables").frame(import_module(self.REPORT).as_table(self))

    def __str__(self) -> str:
        """The report as the command line prints it."""
        return str(import_module(self.REPORT).render(self))

    def _repr_html_(self) -> str:
        """The report in a notebook: its text, every character of it as it is."""
        return str(import_module("sim.report.text").preformatted(str(self)))
