"""The event stream that daemon and clients speak: the events, their text for people, and where they are served."""
