"""Image-text data: cleaned and synthesised by recipe, looked at before, and brought to training."""
