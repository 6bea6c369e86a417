"""Training: batches, steps, losses, and the optimiser."""
