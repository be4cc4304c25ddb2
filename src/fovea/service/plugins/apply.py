"""Something goes through plugins, one after the other; one that breaks is left out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from fovea.runs.stage import Context
from fovea.service.plugins.installed import Kind, load
from fovea.service.plugins.stages import PluginUse

T = TypeVar("T")


def through(
    kind: Kind,
    plugins: Sequence[PluginUse],
    value: T,
    context: Context,
    *,
    check: Callable[[object], T],
) -> T:
    """The value after all plugins; what broke is noted, and told with the result.

    Args:
        kind: of the plugins.
        plugins: in the order in which they run.
        value: a photograph or a scene.
        context: of the stage.
        check: gives back what a plugin gave, or refuses it.
    """
    for number, plugin in enumerate(plugins):
        try:
            value = check(load(kind, plugin.name)(value, dict(plugin.settings)))
        except Exception as error:  # noqa: BLE001 -- whatever another package raises
            said = f"the plugin {plugin.name} was left out: {type(error).__name__}: {error}"
            context.note(said, level="warning")
            context.partly([said])
        context.progress(number + 1, len(plugins), "plugins")
    return value
