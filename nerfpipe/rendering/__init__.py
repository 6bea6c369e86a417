"""The volume rendering equation, and what is made with it: images, queries at points, normals."""
