"""Numbers that say how good something is; each accumulates, then says one value."""
