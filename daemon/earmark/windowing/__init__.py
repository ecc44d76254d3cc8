"""The way from a source's samples to windows for the models: gates, voice activity detection, segmenter thread."""
