"""Clips that the model process dies on: counted, and remembered from one run of the daemon to the next."""
