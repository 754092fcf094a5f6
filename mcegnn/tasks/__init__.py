"""Learning problems, one a module; `mcegnn.tasks.registry` knows them by name."""
