"""Routes: their file, which events they choose, their templates, and the queue of their jobs."""
