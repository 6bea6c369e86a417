"""Turns around the scene: GIF, frames, and the turntable page."""
