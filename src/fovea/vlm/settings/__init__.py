"""Settings of the room, a file a verb; light, so that help costs no torch."""
