"""The surface of a scene: triangles fused from the depth of its views, and rays against them."""
