"""`service.foreign`: a plugin predicts a scene in place of our network."""

from __future__ import annotations

from fovea.errors import BackendError
from fovea.photo.photograph import read_photograph
from fovea.photo.sharp_ply import write_sharp_ply
from fovea.runs.stage import Context
from fovea.service.plugins.installed import load
from fovea.service.plugins.stages import ForeignConfig


def foreign(config: ForeignConfig, context: Context) -> dict[str, float]:
    """Predict with the plugin.

    Raises:
        BackendError: the plugin breaks.
    """
    photograph = read_photograph(config.photo, config.photograph)
    name = config.plugin.name
    try:
        predictor = load("model", name)(dict(config.plugin.settings), context.device)
        gaussians = predictor.predict(photograph).gaussians
    except Exception as error:
        raise BackendError(
            f"the plugin {name} could not predict: {type(error).__name__}: {error}. Mend it, or"
            " take another model.checkpoint."
        ) from error
    write_sharp_ply(
        context.output("scene"),
        gaussians,
        focal_px=photograph.focal_px,
        height=photograph.height,
        width=photograph.width,
    )
    return {"gaussians": float(len(gaussians))}
