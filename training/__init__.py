"""How the checkpoints that Earmark ships were made, and how to make them again."""
