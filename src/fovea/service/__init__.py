"""Every stage behind an address. A job is a run."""
