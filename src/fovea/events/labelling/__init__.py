"""Predictions become labels: views, merge, tracks, what they remove, and how good it is."""
