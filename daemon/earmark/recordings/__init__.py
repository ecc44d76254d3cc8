"""Audio files: their formats, and the readers that decode them block by block."""
