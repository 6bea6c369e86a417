"""How a program runs: errors, files, terminal, progress, interruption, checkpoints. Imports no other part."""
