"""The network of SHARP, module by module."""
