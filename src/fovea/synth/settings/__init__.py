"""What each stage of the room may be told: one file a verb, and nothing heavy imported."""
