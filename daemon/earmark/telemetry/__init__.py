"""Who may connect: hosts, origins and tokens."""
