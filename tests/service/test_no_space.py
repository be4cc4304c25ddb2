"""A disk without room: said as 507, nothing half written is left, and it goes on once there is."""

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest

from fovea.service.full import is_full

if TYPE_CHECKING:
    from conftest import Service

MEGABYTE = 1_000_000


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 8 MB, which only root may mount."""
    place = tmp_path / "disk"
    place.mkdir()
    words = ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(place)]
    try:
        mounted = subprocess.run(words, capture_output=True, check=False)
    except FileNotFoundError:
        pytest.skip("there is no program `mount` on this machine")
    if mounted.returncode:
        pytest.skip(f"a small disk cannot be mounted here: {mounted.stderr.decode().strip()}")
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


def fill(disk: Path, leave: int) -> Path:
    """Take all but so many bytes of a disk."""
    ballast = disk / "ballast"
    found = os.statvfs(disk)
    with ballast.open("wb") as file:
        file.write(bytes(found.f_bavail * found.f_frsize - leave))
    return ballast


def refused(answer: httpx.Response) -> None:
    body = answer.json()
    assert (answer.status_code, body["code"]) == (507, "disk"), answer.text
    assert "no room left" in body["detail"]
    assert "retention" in body["solution"]


def test_an_upload_without_room_is_507_and_leaves_nothing(
    make_service: Callable[..., "Service"], small_disk: Path
) -> None:
    service = make_service(f"model.temp_dir={small_disk}")
    for _ in range(2):  # were the first half kept, the second time there were less room
        refused(service.client.post("/v1/uploads", content=bytes(12 * MEGABYTE)))
        assert list(small_disk.iterdir()) == []
    files = [("file", ("a", bytes(5 * MEGABYTE))), ("file", ("b", bytes(5 * MEGABYTE)))]
    refused(service.client.post("/v1/uploads", files=files))
    assert service.client.post("/v1/uploads", content=bytes(MEGABYTE)).status_code == 201


def test_a_table_without_room_is_507_and_can_still_be_read(
    make_service: Callable[..., "Service"], small_disk: Path
) -> None:
    service = make_service("--database", f"sqlite:///{small_disk}/jobs.sqlite")
    job = service.wait(service.submit("toy.count", label="first")["id"])
    ballast = fill(small_disk, 0)
    long = {"label": "x" * 200_000}  # more than what SQLite's journal has room for already
    refused(service.client.post("/v1/jobs/toy.count", json=long))
    assert service.job(job["id"])["state"] == "succeeded"
    assert service.client.get("/v1/health").status_code == 200
    ballast.unlink()
    assert service.wait(service.submit("toy.count", label="last")["id"])["state"] == "succeeded"


@pytest.mark.parametrize("leave", [0, 600_000], ids=["at its start", "in its middle"])
def test_a_job_without_room_waits_and_goes_on(
    make_service: Callable[..., "Service"], small_disk: Path, tmp_path: Path, leave: int
) -> None:
    (small_disk / "runs").mkdir()
    (tmp_path / "runs").symlink_to(small_disk / "runs")
    service = make_service("--database", f"sqlite:///{tmp_path}/jobs.sqlite")
    ballast = fill(small_disk, leave)
    id = service.submit("toy.count", label="y" * 400_000)["id"]
    said = service.wait(id, lambda job: "no room" in job["message"])
    assert said["state"] == "queued"
    assert "It is tried again." in said["message"]
    ballast.unlink()
    assert service.wait(id, patience_s=120)["state"] == "succeeded"
    assert service.client.get("/readyz").json()["trouble"] == []


def test_who_says_that_a_disk_is_full() -> None:
    assert is_full(OSError(28, "No space left on device"))
    assert not is_full(OSError(2, "No such file"))
    outer = ValueError("it could not be kept")
    outer.__cause__ = OSError(122, "Disk quota exceeded")
    assert is_full(outer)
