"""How a field of a model family describes itself."""

from __future__ import annotations


def about(doc: str, unit: str = "") -> dict[str, str]:
    """Metadata of a size: what it is and its unit; validation, schema and help at the YAML border read it."""
    return {"doc": doc, "unit": unit}
