"""What users import from `mcegnn`: the verbs of the command line as functions, and `Trajectory`."""
