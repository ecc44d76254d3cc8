"""What differs between two configurations and what follows from that, patches, and pauses: without doing any of it."""
