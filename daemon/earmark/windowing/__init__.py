"""From a source's samples to windows for the models: gates, VAD and the segmenter thread."""
