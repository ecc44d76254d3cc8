"""Who may connect and change what: hosts, origins, tokens and places."""
