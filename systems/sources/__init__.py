"""Where systems start: benchmarks, the solar system, and files of atoms."""
