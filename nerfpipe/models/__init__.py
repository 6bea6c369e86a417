"""The methods: their passes, their life in training, and the model file."""
