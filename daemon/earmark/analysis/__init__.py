"""What the stream would have said of a recording: the way of live sound, taken by a recording from beginning to end."""
