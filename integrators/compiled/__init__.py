"""The compiled interpreter: schemes as tables of numbers, and the numba drivers that run them."""
