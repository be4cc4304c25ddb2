"""Where a trial's numbers go besides its metrics.jsonl, which is the truth: one record a trial.

A trial is followed by a thread of its own, so that no tracker holds up or fails the work; what one
missed can be told again (`sync.py`). `follow.py` is the thread, `card.py` what a tracker is told of
a trial, and each tracker stands in a file of its own. The step is the one axis.
"""
