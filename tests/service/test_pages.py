"""What the page is served from: files by version, pictures of runs, runs of the command line."""

import re
from typing import Any


def test_files_are_named_under_a_version_that_browsers_keep(service: Any) -> None:
    home = service.client.get("/")
    assert home.headers["cache-control"] == "no-cache"
    addresses = re.findall(r'(?:src|href)="(page/[^"]+)"', home.text)
    assert len({address.split("/")[1] for address in addresses}) == 1
    for address in addresses:
        answer = service.client.get(f"/{address}")
        assert answer.status_code == 200, address
        assert "immutable" in answer.headers["cache-control"]
    script = service.client.get("/page/another/languages/en.json")
    assert script.headers["cache-control"] == "no-cache"
    assert script.json()["nav.jobs"] == "Jobs"


def test_nothing_but_the_pages_files_and_sample_pictures_is_given_out(service: Any) -> None:
    for name in ("x/..%2f..%2fapp.py", "x/nothing.js", "samples/pair/scene.ply"):
        assert service.client.get(f"/page/{name}").status_code == 404, name
    assert service.client.get("/page/samples/..%2f..%2f..%2fdocs%2fx.png").status_code == 404
    picture = service.client.get("/page/samples/still_life/test_003/rgba.png")
    assert picture.headers["content-type"] == "image/png"


def test_a_job_that_waits_has_a_page_and_no_picture_yet(service: Any) -> None:
    held = [service.submit("toy.count", steps=400, pace={"pause_s": 0.05}) for _ in range(3)]
    waiting = held[-1]["id"]
    page = service.client.get(f"/jobs/{waiting}/page.json").json()
    assert (page["state"], page["live"], page["scenes"]) == ("pending", True, [])
    assert service.client.get(f"/jobs/{waiting}/picture").status_code == 204
    for job in held:
        service.client.delete(f"/v1/jobs/{job['id']}")


def test_runs_of_the_folder_are_listed_with_their_scores(service: Any) -> None:
    job = service.wait(service.submit("toy.count", steps=3)["id"])
    runs = service.client.get("/runs").json()["runs"]
    found = {run["name"]: run for run in runs}[job["run"]]
    assert (found["state"], found["stages"], found["scores"]) == ("done", ["count"], {"value": 3.0})
    page = service.client.get(f"/runs/{job['run']}/page.json").json()
    assert page["name"] == "toy-count"
    assert service.client.get("/runs/..%2f..%2fetc/page.json").status_code == 404
