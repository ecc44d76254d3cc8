"""From drafts to subscribers: numbers, filters and backlogs."""
