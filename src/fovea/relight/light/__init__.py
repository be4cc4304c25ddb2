"""Light from far away: maps of it, how it is looked up, and how it is blurred for shading."""
