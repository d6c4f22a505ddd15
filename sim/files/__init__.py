"""YAML to the frozen records: the only room that knows yaml."""

from sim.files.scenario import Document, Leaf, build, document_of, load_document, load_scenario, locating, scenario_of

__all__ = ["Document", "Leaf", "build", "document_of", "load_document", "load_scenario", "locating", "scenario_of"]
