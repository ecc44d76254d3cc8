"""The networks: training, judging and describing the embedded models."""
