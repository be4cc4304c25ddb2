"""The cpu twin. Its kernels come next; until then the plain twin stands in for it."""

from fovea.scene.raster.plain import blend, colors, project

__all__ = ["blend", "colors", "project"]
