"""What is kept of the events: the newest in memory, replay to a subscriber that comes back, and pages of history."""
