"""A small predictor that ships with the package, for machines without the public weights."""
