"""Samples in memory: their types, the ring buffer, levels, resampling, PCM and decoded recordings."""
