"""Unpacking and checksums of files that someone else made."""
