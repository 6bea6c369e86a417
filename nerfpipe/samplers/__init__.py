"""Where along a ray to look."""
