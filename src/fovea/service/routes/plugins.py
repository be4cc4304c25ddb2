"""The plugins that are installed."""

from __future__ import annotations

from typing import Any, Literal

from fastapi import APIRouter
from pydantic import BaseModel, Field

from fovea.service.access import needs
from fovea.service.plugins.installed import installed, trouble
from fovea.service.problems import RESPONSES
from fovea.service.state import Here

router = APIRouter(prefix="/v1", tags=["system"], responses=RESPONSES)


class PluginView(BaseModel):
    """A plugin of another package."""

    name: str
    kind: Literal["preprocess", "model", "postprocess"]
    package: str
    version: str
    target: str
    order: int
    enabled: bool
    settings: dict[str, Any]
    trouble: str = Field(description="why it cannot be used; empty when it can")


class PluginList(BaseModel):
    """All plugins, in the order in which they run."""

    plugins: list[PluginView]


@router.get("/plugins", dependencies=[needs("jobs:read", "admin")])
def plugins(here: Here) -> PluginList:
    """All plugins, in the order in which they run."""
    found = installed(here.settings.plugins)
    return PluginList(plugins=[PluginView(**vars(one), trouble=trouble(one)) for one in found])
