"""Fast forms of the operations in ops/, one folder for each backend."""
