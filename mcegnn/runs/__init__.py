"""Runs: simulations, trainings and other long work as iterators of events, for any program to
follow."""
