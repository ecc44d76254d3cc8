"""Cross-validation for small corpora."""
