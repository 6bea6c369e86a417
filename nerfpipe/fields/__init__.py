"""The learned functions: encodings, and a module for each method's field."""
