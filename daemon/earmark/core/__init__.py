"""Pure logic: no threads, clocks, sockets, files, logging or torch."""
