"""Models on other machines, asked by the Open Inference Protocol."""
