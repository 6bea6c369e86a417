"""Scene data and pictures of strangers: one small true scene, written in every format and then changed."""
