"""Single clips over HTTP, in the shapes of the Inference API's audio classification."""
