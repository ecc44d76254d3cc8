"""What only a GPU of NVIDIA needs: CUDA graphs, transfers through pinned memory, and batches that overlap."""
