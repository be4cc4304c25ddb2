"""What an item-wise stage found, on disk as soon as it is found: a kill costs one item."""

from __future__ import annotations

from fovea.runs.stage import Context
from fovea.training.checkpoint import State, load_state, save_state


class Findings:
    """The findings of a stage's items by key; they go when the stage is done."""

    def __init__(self, context: Context) -> None:
        self._items = context.items
        self._folder = context.folder / "tmp" / "findings"

    def of(self, key: str) -> State | None:
        """What was found of an item, or None where it is not finished."""
        return load_state(self._folder / key) if key in self._items else None

    def keep(self, key: str, found: State) -> None:
        """Write what was found of an item, whose files are written already; it is finished."""
        folder = self._folder / key
        folder.mkdir(parents=True, exist_ok=True)
        save_state(folder, found)
        self._items.add(key)
