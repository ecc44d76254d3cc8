"""`earmark export`: a checkpoint as one file of ONNX."""
