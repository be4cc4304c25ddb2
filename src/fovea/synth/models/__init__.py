"""Networks that operators ask: captioners and matchers, by name, folder or factory."""
