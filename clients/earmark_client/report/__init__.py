"""`earmark report`: a page in HTML about a session, from the monitor or from what a daemon has kept."""
