"""Files that survive: runs in H5MD, checkpoints and models, whole after a stop at any moment."""
