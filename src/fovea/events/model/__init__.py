"""The detector: a recurrent vision transformer, a feature pyramid, and a head that gives boxes."""
