"""Where pictures come from: one module per format, each returning the same Scene."""
