"""Cameras, Gaussians, images and their files: what the rooms share about space."""
