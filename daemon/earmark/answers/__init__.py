"""Answers to clips that were given before."""
