"""To follow the stream: one connection after the other, where to go on, and the events as a program gets them."""
