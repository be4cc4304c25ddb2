"""Tuning what is not ours: any command that trains, supervised, and followed by its own files."""
