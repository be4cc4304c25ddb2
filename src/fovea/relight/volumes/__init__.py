"""Volumes of spherical harmonics: how much of the sky each place sees, and light from nearby."""
