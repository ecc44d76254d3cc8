"""The model process. The only package that imports torch."""
