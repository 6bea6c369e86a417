"""The built-in scene: shapes, light and materials, rendered by sphere tracing. Nothing here is learned."""
