"""How a surface answers light: the BRDF, the split sum, tone curves and point lights."""
