"""The commands of `earmark` that need the daemon's code."""
