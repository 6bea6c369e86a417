"""From an address or a folder to data/raw."""
