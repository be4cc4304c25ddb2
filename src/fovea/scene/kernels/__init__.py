"""Compiled loops about Gaussians; `fovea.scene.raster.compiled` copies, compiles and loads them."""
