"""A session: what a stream tells about labels over time, in stretches and in words. Pure; times are passed in."""
