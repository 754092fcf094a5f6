"""A network that passes messages, without torch: `network` has its weights, `potential` is the
`MessagePassing` that calls its kernels.

The kernels (modules that begin with an underscore) are the layers of `mcegnn.nn.interaction` with
derivatives written by hand: `_kernels` has the order of the steps, `_forth` and `_back` what
happens along pairs, `_nodes` and `_couplings` at nodes, `_room` what they read and write; `_lanes`,
`_lane_math` and `_tiles` are their arithmetic, on registers.
"""
