"""Integrators: flows, their compositions, the named integrators, and the compiled driver of a
scheme table."""
