"""A photograph and its options become a job."""

from __future__ import annotations

from fovea.service.intake import accept
from fovea.service.jobs import Job
from fovea.service.photo.forms import Photo
from fovea.service.photo.options import PredictOptions
from fovea.service.photo.recipe import recipe_of
from fovea.service.photo.sizes import complexity, size_by_complexity
from fovea.service.photo.tasks import KIND
from fovea.service.state import Service
from fovea.service.submission import Submission


def enqueue(
    here: Service, owner: str, photo: Photo, options: PredictOptions, *, key: str | None = None
) -> tuple[Job, bool]:
    """Ask for a prediction.

    Returns:
        Its job, and whether it is new.

    Raises:
        FoveaError: it cannot be done, or there is no room for it.
    """
    recipe = recipe_of(
        options,
        photo.path,
        here.settings,
        chosen=here.photo.chosen,
        dynamic_size=_dynamic_size(here, photo) if options.size is None else None,
    )
    said = options.model_dump(mode="json", exclude_defaults=True)
    body = {"photo": photo.name} | said
    asked = Submission(KIND, body, recipe)
    return accept(here, owner, asked, key=key, webhook_url=options.webhook_url)


def _dynamic_size(here: Service, photo: Photo) -> int | None:
    wanted = here.settings.inference
    if not wanted.dynamic_input_size:
        return None
    return size_by_complexity(
        complexity(photo.path), smallest=wanted.min_input_size, largest=wanted.max_input_size
    )
