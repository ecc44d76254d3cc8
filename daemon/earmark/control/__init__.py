"""HTTP routes that show and change a running daemon."""
