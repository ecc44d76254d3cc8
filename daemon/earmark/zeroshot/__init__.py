"""Labels that are given at run time, in words: label sets, and the vectors of their texts."""
