"""Models for other machines: the serving side of the Open Inference Protocol on Ray Serve."""
