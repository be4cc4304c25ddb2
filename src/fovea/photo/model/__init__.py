"""SHARP's network, module by module, with the names of its public weights."""
