"""A learned potential compiled for dynamics, without torch: `weights` holds the network's weights,
`potential` is the `MessagePassing` that calls its kernels.

The kernels (modules that begin with an underscore) are the layers of `mcegnn.nn.interaction` with
derivatives written by hand: `_steps` has the order of the steps, `_edges_forward` and
`_edges_backward` what happens along pairs, `_nodes` and `_couplings` at nodes, `_workspace` the
arrays they read and write; `_simd`, `_simd_math` and `_matmul` are their arithmetic, on registers.
"""
