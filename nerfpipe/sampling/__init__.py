"""Where along a ray to look. Every way of choosing returns the same packed samples."""
