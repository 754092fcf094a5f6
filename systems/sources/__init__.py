"""Sources of initial states: benchmarks, the solar system, and files of atoms."""
