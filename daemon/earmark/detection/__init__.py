"""From scores to labels that go on and off."""
