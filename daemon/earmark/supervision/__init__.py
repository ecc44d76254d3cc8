"""What the daemon tells those who look after it: the service manager and its watchdog, and the log of the sources."""
