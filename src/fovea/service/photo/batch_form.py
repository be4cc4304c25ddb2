"""The photographs of a batch, from its form to the queue: what is refused is refused alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO

from starlette.datastructures import UploadFile

from fovea.errors import FoveaError
from fovea.service.photo.batches import Item
from fovea.service.photo.forms import Photo, known, require_picture
from fovea.service.photo.options import PredictOptions
from fovea.service.photo.recipe import is_plain
from fovea.service.photo.submit import enqueue
from fovea.service.problems import RefusedError
from fovea.service.state import Service


def items_of(
    here: Service, owner: str, sent: Sequence[UploadFile], options: PredictOptions
) -> list[Item]:
    """Put every photograph of a form into the queue.

    Args:
        here: the service.
        owner: to whom the jobs belong.
        sent: photographs, or one archive of them.
        options: the same for all.

    Raises:
        RefusedError: there is none, or there are too many.
    """
    photos, refused = _photos(here, owner, sent)
    if not photos and not refused:
        raise RefusedError(422, "no_file", "there is no photograph. Send them as parts `files`.")
    size = here.settings.optimization.max_batch_size if _may_share(here, options) else 1
    asked: list[Item] = []
    for first in range(0, len(photos), size):
        group = photos[first : first + size]
        if len(group) > 1:
            asked += _shared(here, owner, group, options)
        else:
            asked.append(_alone(here, owner, *group[0], options))
    return sorted([*asked, *refused], key=lambda item: item.number)


def _photos(
    here: Service, owner: str, sent: Sequence[UploadFile]
) -> tuple[list[tuple[int, Photo]], list[Item]]:
    """The pictures with their numbers, and the items that are none."""
    if len(sent) == 1 and _is_archive(sent[0]):
        files = _archive(here, owner, sent[0])
    else:
        names = [Path(one.filename or "photograph").name for one in sent]
        files = [(name, _keeping(here, owner, one)) for name, one in zip(names, sent, strict=True)]
    photos: list[tuple[int, Photo]] = []
    refused: list[Item] = []
    for number, (name, take) in enumerate(files):
        try:
            photos.append((number, take()))
        except RefusedError as error:
            refused.append(_failed(number, name, error))
    return photos, refused


def _is_archive(sent: UploadFile) -> bool:
    return (sent.filename or "").lower().endswith(".zip")


def _keeping(here: Service, owner: str, sent: UploadFile) -> Callable[[], Photo]:
    def take() -> Photo:
        name = Path(sent.filename or "").name
        upload = here.uploads.keep([(name, sent.file)])
        return known(here, owner, f"uploads/{upload.id}", file=name)

    return take


def _archive(here: Service, owner: str, sent: UploadFile) -> list[tuple[str, Callable[[], Photo]]]:
    from fovea.photo.batch import photographs_in

    upload = here.uploads.keep([(sent.filename or "batch.zip", sent.file)], look=False)
    folder = here.find(f"uploads/{upload.id}", owner)
    if folder is None:
        raise RefusedError(422, "no_file", "the archive could not be unpacked. Send it again.")

    def taking(path: Path, inside: str) -> Callable[[], Photo]:
        def take() -> Photo:
            require_picture(here, path)
            return Photo(f"uploads/{upload.id}/{inside}", inside, path)

        return take

    names = {
        path.relative_to(folder).as_posix(): path for path in photographs_in(folder, recursive=True)
    }
    return [(inside, taking(path, inside)) for inside, path in names.items()]


def _may_share(here: Service, options: PredictOptions) -> bool:
    """Whether photographs may share a job: nothing comes after the network, for any of them."""
    settings = here.settings
    is_wanted = settings.optimization.enable_batch_processing
    return is_wanted and not settings.inference.dynamic_input_size and is_plain(options, settings)


def _alone(here: Service, owner: str, number: int, photo: Photo, options: PredictOptions) -> Item:
    try:
        job, _ = enqueue(here, owner, photo, options)
    except FoveaError as error:
        return _failed(number, photo.file, error)
    return Item(number, photo.file, job.id)


def _shared(
    here: Service, owner: str, members: Sequence[tuple[int, Photo]], options: PredictOptions
) -> list[Item]:
    names = [f"{number:04d}" for number, _ in members]
    with ExitStack() as opened:
        files: list[tuple[str, BinaryIO]] = [
            (f"{name}{photo.path.suffix}", opened.enter_context(photo.path.open("rb")))
            for name, (_, photo) in zip(names, members, strict=True)
        ]
        upload = here.uploads.keep(files)
    name = f"uploads/{upload.id}"
    folder = here.find(name, owner)
    try:
        if folder is None:
            raise RefusedError(422, "unknown_file", f"there is no {name}. Send it again.")
        job, _ = enqueue(here, owner, Photo(name, "batch", folder), options)
    except FoveaError as error:
        return [_failed(number, photo.file, error) for number, photo in members]
    return [
        Item(number, photo.file, job.id, file)
        for file, (number, photo) in zip(names, members, strict=True)
    ]


def _failed(number: int, name: str, error: FoveaError) -> Item:
    return Item(number, name, error={"code": error.code, "message": str(error)})
