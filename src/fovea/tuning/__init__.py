"""Search: a study file names a stage, a space and a metric; its trials are runs, the best a recipe.

`definition.py` is the study file, `plan.py` checks it against its `target.py`, `space.py` says what
may be tried. `study.py` is a study's folder and storage; `worker.py` asks for trials and tells how
they ended, `trial.py` runs one, `watch.py` listens to it, `outcome.py` says what its end is worth.
`report.py` shows what came of it.
"""
