"""The sound devices of this machine: listing and choosing them, and recording from them in processes."""
