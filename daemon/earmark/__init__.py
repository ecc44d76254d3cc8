"""Earmark: a real-time streaming audio classifier daemon."""

__version__ = "0.1.0"
