"""Runs: long work from a configuration, as an iterator of events that any program can follow."""
