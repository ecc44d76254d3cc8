"""What `earmark learn` needs, and what it reaches."""
