"""From windows to logits: batching, dispatching and the supervised model process."""
