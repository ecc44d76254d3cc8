"""The event stream that daemon and clients share: the events, their text for people, and where they are served."""
