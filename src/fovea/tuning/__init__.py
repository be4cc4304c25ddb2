"""Search over any stage: a study file in, the best recipe out."""
