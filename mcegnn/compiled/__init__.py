"""A learned potential compiled for dynamics, without torch: `weights` holds the network's weights,
`potential` is the `MessagePassing` that calls its kernels.

The kernels (modules that begin with an underscore) are the layers of `mcegnn.nn.interaction` with
derivatives written by hand: `_steps` has the order of the steps and `_phases` those that are
compiled apart (`phases`), `_edges_forward`, `_edges_backward`, `_harmonics_backward` and `_scatter`
what happens along pairs, `_nodes_forward`, `_nodes_backward` and `_couplings` at nodes,
`_workspace` the arrays they read and write; `_pointers`, `_lanes`, `_simd`, `_simd_math` and
`_matmul` are their arithmetic, on registers.
"""
