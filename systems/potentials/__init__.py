"""Potentials: one law a file, and what several of them share."""
