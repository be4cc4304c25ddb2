"""Posed photographs to geometry, materials and light."""
