"""Which particles are near which: lists of pairs by cutoff, and how they are found."""
