"""Where a foreign trainer's numbers are: readers that follow its files while they grow."""
