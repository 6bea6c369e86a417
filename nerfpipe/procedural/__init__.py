"""The built-in scene: shapes, light and materials, drawn by sphere tracing. Nothing here is learned."""
