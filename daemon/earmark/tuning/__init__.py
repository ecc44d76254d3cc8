"""`earmark tune`: what other thresholds would have decided on the same scores, and which ones to choose."""
