"""The stages of the room `events`, declared: recordings become a data set, a detector and films.

Only declarations stand here, and their settings in `settings/`, so that help costs no torch.
"""

from __future__ import annotations
