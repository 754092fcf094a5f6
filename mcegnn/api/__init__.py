"""The Python interface of `mcegnn`: each command as a function, and `Trajectory`."""
