"""A scene as an object for other programs: fewer triangles, textures, a glTF file."""
