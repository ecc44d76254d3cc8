"""How model processes are started, and what they write to their log."""
