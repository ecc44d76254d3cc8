"""Checkpoints of other toolkits, as Earmark reads them."""
