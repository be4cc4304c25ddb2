"""Scenes and photographs as they come to this room, and a capture as it leaves it."""
