"""Photographs or a video -> poses, lens and points by structure from motion (COLMAP) -> a capture to learn from."""
