"""A model as files for other programs: pictures, depth, normals, points, a mesh."""
