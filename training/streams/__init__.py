"""Measuring the embedded models in continuous streams."""
