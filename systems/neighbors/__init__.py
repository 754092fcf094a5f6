"""Neighbour lists: pairs of particles within a cutoff, and how they are found."""
