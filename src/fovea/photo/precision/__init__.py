"""Layers in fewer bits than float32, and which of them a processor does well."""
