"""Kept clips: the sound of labels that went on, for the labels of which the configuration asks for that."""
