"""Image files and conversions, and the metrics of images."""
