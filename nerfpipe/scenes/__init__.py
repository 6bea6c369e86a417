"""Scenes: images with known cameras. One reader per format, all of which return a Scene."""
