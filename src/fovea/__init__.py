"""Vision systems in one package."""
