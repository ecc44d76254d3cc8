"""Sound that clients send over WebSockets, for sources of the kind `network`."""
