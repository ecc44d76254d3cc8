"""The embedded models: training, judging and describing them."""
