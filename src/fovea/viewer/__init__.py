"""The page: static files that read a scene or a run folder."""
