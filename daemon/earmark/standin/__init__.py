"""The model process on this machine that stands in for endpoints which do not serve."""
