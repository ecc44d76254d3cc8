"""From drafts to subscribers and outputs: numbers, filters and backlogs."""
