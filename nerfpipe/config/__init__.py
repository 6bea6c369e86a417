"""The settings of params.yaml and of commands: their types, their bounds, and how faults are reported."""
