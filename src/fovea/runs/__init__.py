"""What a run is: stages, artifacts, recipes, folders, tracking. No torch and no vision in here."""
