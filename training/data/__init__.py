"""Recordings: where they come from, how they are split, and what is made of them before training."""
