"""Recordings of event cameras in and out: a format a file, and `door` before them all."""
