"""Event cameras: recordings to a detector that learnt from few labels, boxes and films."""
