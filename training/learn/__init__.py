"""Make the negatives for `earmark learn`, and measure the models that it makes."""
