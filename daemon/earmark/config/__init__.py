"""Settings: their types and defaults, the file that sets them, and presets for the embedded models."""
