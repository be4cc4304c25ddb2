"""What a prediction made, by the names under which it is downloaded."""

from __future__ import annotations

from pathlib import Path

from fovea.service.jobs import Job
from fovea.service.photo.tasks import artifact_name
from fovea.service.state import Service
from fovea.service.submission import below


def made_file(here: Service, job: Job, name: str) -> tuple[Path, str] | None:
    """The file of that name and its tag: `output.ply`, `film.mp4`; of a folder `0001.ply`."""
    if job.state != "succeeded" or job.result is None:
        return None
    artifact = artifact_name(job, name)
    found = here.artifact(job, artifact) if artifact else None
    if found is not None and found[0].is_file():
        return found[0], str(found[1]["sha256"])
    scenes = here.artifact(job, "predict.scenes")
    path = below(scenes[0], name) if scenes and "/" not in name else None
    return (path, f"{scenes[1]['sha256']}-{name}") if scenes and path and path.is_file() else None
