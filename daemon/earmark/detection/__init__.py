"""From the answers of models to events, in the order of the sound."""
