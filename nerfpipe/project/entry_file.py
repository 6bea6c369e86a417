"""The name of the file that says what the catalogue says of a scene."""

from __future__ import annotations

ENTRY_FILE = "entry.json"  # in data/raw: what the catalogue says about the scene
