"""Made recordings: scenes of photographs in motion, and the pixels of an event camera."""
