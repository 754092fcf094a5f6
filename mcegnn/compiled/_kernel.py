"""How kernels of the network are compiled: sums in the order in which they are written."""

from functools import partial

from systems.kernel import jit

kernel = partial(jit, reorder=False)
kernel_part = partial(jit, reorder=False, part=True)  # of the one function that calls it
