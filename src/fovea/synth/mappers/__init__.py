"""Mappers: how samples are changed."""
