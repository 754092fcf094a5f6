"""Storage that survives crashes: runs in H5MD, checkpoints and models, whole after a stop at any
moment."""
