"""What acts on systems: one law a file, and what several of them share."""
