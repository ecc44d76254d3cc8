"""The labels that are Earmark's own: a model answers with them where it recognises nothing."""

from __future__ import annotations

RESERVED_PREFIX = "_"  # a user's labels must not begin so
UNKNOWN = "_unknown_"  # speech, but none of the model's words
SILENCE = "_silence_"  # no sound
BACKGROUND = "_background_"  # noise, but none of the model's sounds
REJECTED = (UNKNOWN, SILENCE, BACKGROUND)
"""Labels that never go on, unless the settings say otherwise."""
