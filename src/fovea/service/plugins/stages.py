"""The stages in which plugins run. They are part of recipes the service writes, by this module."""

from __future__ import annotations

from typing import Any

from fovea.config import Config, Path, artifact, setting
from fovea.photo.settings.photograph import PhotographConfig
from fovea.runs.stage import Output, Stage


class PluginUse(Config):
    """A plugin and what it is told; its version is here so that another gives another result."""

    name: str = setting(help="of its entry point")
    version: str = setting("", "of its package")
    settings: dict[str, Any] = setting({}, "its own section")


class PrepareConfig(Config):
    """A photograph goes through plugins before it is predicted."""

    photo: Path = artifact("photo", "the photograph")
    plugins: tuple[PluginUse, ...] = setting((), "in the order in which they run")


class ForeignConfig(Config):
    """A plugin predicts a scene."""

    photo: Path = artifact("photo", "the photograph")
    plugin: PluginUse = setting(help="the one that predicts")
    photograph: PhotographConfig = setting(PhotographConfig(), "how photographs are read")


class FinishConfig(Config):
    """A scene goes through plugins after it was predicted."""

    scene: Path = artifact("gaussians", "the scene")
    plugins: tuple[PluginUse, ...] = setting((), "in the order in which they run")


PREPARE = Stage(
    name="service.prepare",
    summary="a photograph goes through plugins",
    config=PrepareConfig,
    implementation="fovea.service.plugins.prepare:prepare",
    outputs={"photo": Output("photo", "photo.png", "the photograph, upright")},
)
FOREIGN = Stage(
    name="service.foreign",
    summary="a plugin predicts a scene",
    config=ForeignConfig,
    implementation="fovea.service.plugins.foreign:foreign",
    outputs={"scene": Output("gaussians", "scene.ply", "the scene")},
    metrics={"gaussians": "max"},
)
FINISH = Stage(
    name="service.finish",
    summary="a scene goes through plugins",
    config=FinishConfig,
    implementation="fovea.service.plugins.finish:finish",
    outputs={"scene": Output("gaussians", "scene.ply", "the scene")},
    metrics={"gaussians": "max"},
)
