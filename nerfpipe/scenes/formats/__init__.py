"""Readers, one per format of scene data."""
