"""Recordings: reading, splitting, augmenting them, and their features."""
