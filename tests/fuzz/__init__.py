"""Fuzzers of the parsers that strangers reach: `python -m tests.fuzz TARGET --inputs 100000 --seed 1`."""
