"""Compiled loops of the room; `fovea.scene.raster.compiled` copies, compiles and loads them."""
