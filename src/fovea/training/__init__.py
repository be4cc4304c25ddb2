"""Pieces of a training loop. There is no Trainer: a stage writes its loop out."""
