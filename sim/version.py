"""The release of foretrain."""

__version__ = "0.1.0"
