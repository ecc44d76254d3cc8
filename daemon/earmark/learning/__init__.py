"""`earmark learn`: a user's own words and sounds from examples."""
