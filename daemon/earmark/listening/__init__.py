"""What is heard: the sources that are open, the plans of the classifiers, and the way of a window."""
