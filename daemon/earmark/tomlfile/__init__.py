"""Files in TOML that people write: reading them, and saying in sentences with the line what to mend."""
