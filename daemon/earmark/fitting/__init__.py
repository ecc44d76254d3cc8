"""The part of `earmark learn` that needs torch, in a process of its own: a new head on the encoder of a base."""
