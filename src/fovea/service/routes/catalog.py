"""What can be asked for: stages, recipes, and the schemas of their settings."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from fovea import catalog, dialect
from fovea.config import RECIPES, presets
from fovea.errors import BackendError
from fovea.service.problems import RESPONSES
from fovea.service.schemas import OutputView, StageList, StageView
from fovea.service.state import Who
from fovea.service.submission import recipe_names, schema, stages_of

router = APIRouter(prefix="/v1", tags=["catalog"], responses=RESPONSES)


@router.get("/stages")
def stages(_who: Who) -> StageList:
    """Every stage and recipe."""
    found = [_stage(name) for name in catalog.stage_names() if _is_usable(name)]
    found += [_recipe(name) for name in recipe_names()]
    samples = sorted(p.name for p in dialect.SAMPLES.glob("*/") if p.name[0] not in "._")
    return StageList(stages=found, samples=[f"samples/{name}" for name in samples])


@router.get("/schemas/{kind}")
def json_schema(kind: str, _who: Who) -> dict[str, Any]:
    """The JSON schema of a stage's settings, or of a recipe's."""
    return schema(kind)


def _is_usable(name: str) -> bool:
    return not any(plugin.trouble for plugin in catalog.plugins() if plugin.name == name)


def _stage(name: str) -> StageView:
    stage = catalog.stage(name)
    return StageView(
        kind=name,
        is_recipe=False,
        summary=stage.summary,
        inputs=stage.inputs,
        outputs=[OutputView(name=key, **_shown(made)) for key, made in stage.outputs.items()],
        metrics=dict(stage.metrics),
        presets=list(presets(name)),
        stages={},
        missing=_missing(name, stage.requires),
        schema_href=f"/v1/schemas/{name}",
    )


def _shown(made: Any) -> dict[str, Any]:
    return {"kind": made.kind, "help": made.help, "optional": made.optional}


def _missing(name: str, extras: tuple[str, ...]) -> str:
    try:
        catalog.require(name, extras)
    except BackendError as error:
        return str(error)
    return ""


def _recipe(name: str) -> StageView:
    found = stages_of(name)
    summary = dialect.load(RECIPES / f"{name}.yaml").data.get("summary") or " -> ".join(found)
    return StageView(
        kind=name,
        is_recipe=True,
        summary=str(summary),
        stages={key: stage.name for key, stage in found.items()},
        missing="",
        schema_href=f"/v1/schemas/{name}",
    )
