"""What is learned: encodings, and one module per method's field."""
