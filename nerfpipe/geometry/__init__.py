"""Cameras, rays, spaces, and the transforms between their coordinates."""
