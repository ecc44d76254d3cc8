"""The daemon's own outputs of its events: standard output and the file of --events."""
