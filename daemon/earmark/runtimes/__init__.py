"""What the model process needs of a library that runs models, and onnxruntime, which needs no torch."""
