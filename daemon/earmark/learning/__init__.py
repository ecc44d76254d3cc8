"""`earmark learn`: make a model of the user's own words or sounds from examples."""
