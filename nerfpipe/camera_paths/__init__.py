"""Paths of a camera: shapes, key frames, and the choice between them."""
