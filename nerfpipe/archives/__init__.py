"""Unpacking and checksums of foreign files."""
