"""One photograph becomes metric 3D Gaussians: SHARP, and a small predictor that ships."""
