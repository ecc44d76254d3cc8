"""The event stream at its port: what a subscriber asks for, the replay of the past, and the way to the hub."""
