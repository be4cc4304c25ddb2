"""Search: a study file names a stage, a space and a metric; its trials are runs, the best a recipe.

`definition.py` is the study file, `plan.py` checks it against its stage, `space.py` says what may
be tried, `study.py` asks and tells, `trial.py` runs a trial, `report.py` shows what came of it.
"""
