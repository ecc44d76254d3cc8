"""Shells: each module owns one thread, device, socket, process or file."""
