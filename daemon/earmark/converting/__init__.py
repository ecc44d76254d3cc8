"""What `earmark pull` makes of files that the daemon does not read, in a process of its own, with torch."""
