"""Duplicates: what two rows are compared by, and which of them belong together."""
