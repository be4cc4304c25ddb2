"""The client: what one can ask of the service, a method each."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Unpack

from fovea.client.connection import PIECE, Connection, Part
from fovea.client.objects import (
    Batch,
    Event,
    Health,
    Job,
    Options,
    Task,
    Upload,
    read,
    read_batch,
)
from fovea.errors import BackendError, JobError

LOOK_EVERY_S = 0.5


class Client:
    """A client of one service.

    Args:
        url: its address.
        key: an API key, where it asks for one.
        token: a bearer token, in place of a key.
        language: of its messages, `en` or `zh-CN`.
        timeout_s: how long it may be silent.
    """

    def __init__(
        self,
        url: str = "http://127.0.0.1:8000",
        *,
        key: str = "",
        token: str = "",
        language: str = "",
        timeout_s: float = 60.0,
    ) -> None:
        self._http = Connection(url, key=key, token=token, language=language, timeout_s=timeout_s)

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing is held open between requests."""

    # Photographs

    def submit(
        self, photo: str | Path | Upload, *, idempotency_key: str = "", **options: Unpack[Options]
    ) -> Task:
        """Send a photograph, to come back for its scene."""
        headers = {"Idempotency-Key": idempotency_key} if idempotency_key else {}
        form = [_photo(photo), *_fields(options)]
        return read(Task, self._http.json("POST", "/v1/tasks", form=form, headers=headers))

    def predict(
        self,
        photo: str | Path | Upload,
        to: str | Path,
        *,
        timeout_s: float | None = None,
        **options: Unpack[Options],
    ) -> Task:
        """Send a photograph, wait for its scene, and keep it in the file `to`."""
        task = self.wait(self.submit(photo, **options), timeout_s=timeout_s)
        self.download(task, to)
        return task

    def task(self, task: Task | str) -> Task:
        """How far a prediction is."""
        return read(Task, self._http.json("GET", f"/v1/tasks/{_task_id(task)}"))

    def wait(self, task: Task | str, *, timeout_s: float | None = None) -> Task:
        """Wait until a prediction has ended well.

        Raises:
            JobError: it failed, was cancelled, or does not end within the time.
        """
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        while not (now := self.task(task)).has_ended:
            _wait_on(f"task {now.task_id}", deadline)
        if now.status != "succeeded":
            said = (now.error or {}).get("message", "it was cancelled")
            raise JobError(f"task {now.task_id} {now.status}: {said}")
        return now

    def cancel(self, task: Task | str) -> Task:
        """End a prediction."""
        return read(Task, self._http.json("DELETE", f"/v1/tasks/{_task_id(task)}"))

    def download(self, task: Task, to: str | Path, *, video: bool = False) -> Path:
        """Keep the scene of a prediction, or its film, in a file that is whole or absent.

        Raises:
            JobError: there is none yet.
        """
        address = task.video_url if video else task.url
        if not address:
            raise JobError(
                f"task {task.task_id} is {task.status} and has no file yet. Wait for it."
            )
        return self._fetch(address, Path(to))

    def submit_batch(self, photos: Iterable[str | Path], **options: Unpack[Options]) -> Batch:
        """Send several photographs, or one zip file of them."""
        files: list[Part] = [("files", Path(photo)) for photo in photos]
        form = [*files, *_fields(options)]
        return read_batch(self._http.json("POST", "/v1/predict/batch", form=form))

    def batch(self, batch: Batch | str) -> Batch:
        """How far a batch is."""
        return read_batch(self._http.json("GET", f"/v1/batch/{_batch_id(batch)}"))

    def wait_batch(self, batch: Batch | str, *, timeout_s: float | None = None) -> Batch:
        """Wait until every photograph of a batch has ended, well or not.

        Raises:
            JobError: they do not end within the time.
        """
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        while not (now := self.batch(batch)).has_ended:
            _wait_on(f"batch {now.batch_id}", deadline)
        return now

    def download_batch(self, batch: Batch | str, to: str | Path) -> Path:
        """Keep all scenes of a batch in one zip file."""
        return self._fetch(f"/v1/batch/{_batch_id(batch)}/download", Path(to))

    # Everything else

    def upload(self, path: str | Path) -> Upload:
        """Send a file that jobs work on; a zip file is unpacked."""
        form: list[Part] = [("file", Path(path))]
        return read(Upload, self._http.json("POST", "/v1/uploads", form=form))

    def job(
        self, kind: str, config: Mapping[str, Any], *, preset: str = "", idempotency_key: str = ""
    ) -> Job:
        """Ask for a stage or a recipe, with its settings."""
        headers = {"Idempotency-Key": idempotency_key} if idempotency_key else {}
        query = {"preset": preset} if preset else None
        path = f"/v1/jobs/{kind}"
        return read(Job, self._http.json("POST", path, query=query, body=config, headers=headers))

    def find_job(self, job: Job | str) -> Job:
        """How far a job is."""
        return read(Job, self._http.json("GET", f"/v1/jobs/{_job_id(job)}"))

    def artifact(self, job: Job | str, name: str, to: str | Path) -> Path:
        """Keep something that a job made in a file."""
        return self._fetch(f"/v1/jobs/{_job_id(job)}/artifacts/{name}", Path(to))

    def events(self, job: Task | Job | str, *, after: int = 0) -> Iterator[Event]:
        """What happens in a job, as it happens, until it has ended.

        A connection that is lost is taken up again after the last event that came.
        """
        id = job.task_id if isinstance(job, Task) else _job_id(job)
        failures = 0
        while True:
            try:
                for event in self._stream(id, after):
                    failures, after = 0, event.id or after
                    yield event
                    if event.kind == "end":
                        return
            except BackendError:
                failures += 1
                if failures > 5:
                    raise
            time.sleep(LOOK_EVERY_S * (1 + failures))

    def health(self) -> Health:
        """Whether photographs can be predicted; `loading` until the network was loaded once."""
        return read(Health, self._http.json("GET", "/v1/health", accepts=(503,)))

    def stats(self) -> dict[str, Any]:
        """Facts of the device."""
        return self._http.json("GET", "/v1/stats")

    def cache(self) -> dict[str, Any]:
        """How much the cache of results holds, and how often it was of use."""
        return self._http.json("GET", "/v1/cache")

    def clear_cache(self) -> str:
        """Forget all results; needs the scope admin."""
        return str(self._http.json("POST", "/v1/cache/clear")["message"])

    def _stream(self, id: str, after: int) -> Iterator[Event]:
        headers = {"Last-Event-ID": str(after)} if after else {}
        with self._http.answer("GET", f"/v1/jobs/{id}/events", None, headers) as answer:
            found: dict[str, str] = {}
            for line in answer:
                name, _, value = line.decode().rstrip("\r\n").partition(": ")
                if name:
                    found[name] = value
                elif "data" in found:
                    number = found.get("id", "")
                    yield Event(
                        found.get("event", "message"),
                        json.loads(found["data"]),
                        int(number) if number.isdecimal() else None,
                    )
                    found = {}

    def _fetch(self, address: str, to: Path) -> Path:
        draft = to.with_name(f".{to.name}.part")
        with self._http.answer("GET", address) as answer, draft.open("wb") as file:
            while piece := answer.read(PIECE):
                file.write(piece)
        return draft.replace(to)


def _photo(photo: str | Path | Upload) -> Part:
    return ("photo", photo.name) if isinstance(photo, Upload) else ("file", Path(photo))


def _fields(options: Options) -> list[Part]:
    return [(name, str(value)) for name, value in options.items()]


def _task_id(task: Task | str) -> str:
    return task if isinstance(task, str) else task.task_id


def _job_id(job: Task | Job | str) -> str:
    if isinstance(job, Task):
        return job.task_id
    return job if isinstance(job, str) else job.id


def _batch_id(batch: Batch | str) -> str:
    return batch if isinstance(batch, str) else batch.batch_id


def _wait_on(what: str, deadline: float | None) -> None:
    if deadline is not None and time.monotonic() >= deadline:
        raise JobError(f"{what} has not ended in time; it goes on. Ask for it later.")
    time.sleep(LOOK_EVERY_S)
