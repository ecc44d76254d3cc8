"""Models on disk: reading what a checkpoint says, finding it, fetching it."""
