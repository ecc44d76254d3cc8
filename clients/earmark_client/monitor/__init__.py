"""`earmark monitor`: what a daemon hears, live in a terminal, and recorded in a file."""
