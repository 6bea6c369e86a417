"""The settings of params.yaml and of commands: types, bounds, and reports of faults."""
