"""The recording of `make demo`."""
