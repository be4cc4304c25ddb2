"""Filters: what they measure of a sample, and when they keep it."""
