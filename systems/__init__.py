"""Systems of particles, their units and cells, potentials, and sources of initial states."""
