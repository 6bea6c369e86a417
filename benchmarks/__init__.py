"""What `make bench` runs: speed and quality, measured side by side in one run. Nothing here is part of the library."""
