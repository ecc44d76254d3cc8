"""`earmark monitor` and `earmark report`: what a daemon hears, over a session, for a terminal and on a page."""
