"""Readers, one for each format of scene data."""
