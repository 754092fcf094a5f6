"""What moves: systems of particles, their units and cells, the potentials that act on them, and
where they start."""
