"""What the page is told, and what it may read."""

from __future__ import annotations

import http.client
import json
import urllib.request
from pathlib import Path
from urllib.error import HTTPError
from urllib.parse import urlsplit

import pytest

from fovea.errors import ArtifactError, BusyError
from fovea.viewer import page as viewer_page
from fovea.viewer.page import assets, describe, export, locate
from fovea.viewer.server import Server


def test_a_run_is_described_by_its_stages_scores_curves_and_scene(run_folder):
    page = describe(run_folder)
    assert (page["kind"], page["name"], page["state"], page["live"]) == (
        "run",
        "balls",
        "done",
        False,
    )
    assert [(s["key"], s["state"], s["seconds"]) for s in page["stages"]] == [
        ("fit", "done", 12.5),
        ("film", "pending", 0.0),
    ]
    psnr = page["scores"][0]
    assert (psnr["label"], psnr["split"], psnr["value"], psnr["unit"]) == (
        "PSNR",
        "test",
        31.234,
        "dB",
    )
    assert psnr["direction"] == "max"
    assert page["curves"]["fit"]["test/psnr"] == [[1, 11.0], [2, 12.0], [3, 13.0]]
    assert [frame["step"] for frame in page["pictures"][0]["frames"]] == [1, 3]
    assert page["scenes"][0]["path"] == "files/stages/fit-12345678/out/scene.ply"
    assert page["notes"] == [{"level": "info", "message": "three"}]
    json.dumps(page)


def test_every_address_in_a_description_leads_to_a_file(run_folder):
    page = describe(run_folder)
    addresses = [scene["path"] for scene in page["scenes"]]
    addresses += [frame["path"] for group in page["pictures"] for frame in group["frames"]]
    addresses += [view["photo"] for view in page["cameras"]["views"] if view["photo"]]
    assert len(addresses) == 4
    for address in addresses:
        found = locate(run_folder, address)
        assert found
        assert found.is_file()


def test_a_photograph_is_found_by_its_views_name_and_others_are_not_given_out(run_folder):
    views = {view["name"]: view["photo"] for view in describe(run_folder)["cameras"]["views"]}
    assert views == {"test_000": "photos/test_000", "x": None}
    assert locate(run_folder, "photos/test_000").name == "rgba.png"
    assert locate(run_folder, "photos/test_001") is None


def test_a_long_curve_is_thinned_to_means_that_keep_its_end(run_folder):
    lines = [{"time": 0.0, "step": n, "metrics": {"train/loss": 2.0}} for n in range(1, 5001)]
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (run_folder / "stages/fit-12345678/metrics.jsonl").write_text(text)
    points = describe(run_folder)["curves"]["fit"]["train/loss"]
    assert 300 < len(points) <= 400
    assert points[-1] == [5000, 2.0]


def test_numbers_that_are_not_finite_leave_gaps_and_do_not_break_the_page(run_folder):
    line = {"time": 0.0, "step": 1, "metrics": {"train/loss": "NaN", "test/psnr": 3.0}}
    (run_folder / "stages/fit-12345678/metrics.jsonl").write_text(json.dumps(line) + "\n")
    assert describe(run_folder)["curves"] == {"fit": {"test/psnr": [[1, 3.0]]}}


def test_what_is_no_scene_and_no_run_is_refused_with_what_it_is(tmp_path):
    with pytest.raises(ArtifactError, match=r"is a folder without run\.json"):
        describe(tmp_path)
    with pytest.raises(ArtifactError, match="does not exist"):
        describe(tmp_path / "gone.ply")
    (tmp_path / "notes.txt").write_text("")
    with pytest.raises(ArtifactError, match=r"ends in \.txt"):
        describe(tmp_path / "notes.txt")


@pytest.mark.parametrize(
    "address",
    [
        "files/../secret.txt",
        "files/%2e%2e/secret.txt",
        "files/stages/../../secret.txt",
        "files//etc/passwd",
        "files/link.txt",
        "files/",
        "photos/../test_000",
        "photos/%2e%2e%2ftest_000",
        "secret.txt",
        "files/run.json%00.png",
    ],
)
def test_no_spelling_of_an_address_leads_out_of_the_folder(run_folder, address):
    secret = run_folder.parent / "secret.txt"
    secret.write_text("secret")
    (run_folder / "link.txt").symlink_to(secret)
    assert locate(run_folder, address) is None


def test_beside_a_scene_file_nothing_else_is_given_out(scene, tmp_path):
    (scene.parent / "other.txt").write_text("private")
    assert locate(scene, f"files/{scene.name}") == scene.resolve()
    assert locate(scene, "files/other.txt") is None


def fetch(url: str, **headers: str) -> tuple[int, dict, bytes]:
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers)) as answer:
            return answer.status, dict(answer.headers), answer.read()
    except HTTPError as error:
        with error:
            return error.code, dict(error.headers), error.read()


def test_the_server_gives_the_page_its_data_and_parts_of_files(run_folder):
    with Server(run_folder) as server:
        for name, path in assets().items():
            status, headers, body = fetch(server.url + name)
            assert (status, body) == (200, path.read_bytes())
            assert headers["Cache-Control"] == "no-cache"
            assert "script-src 'self'" in headers["Content-Security-Policy"]
        assert fetch(server.url)[1]["Content-Type"].startswith("text/html")
        assert fetch(server.url + "viewer.js")[1]["Content-Type"].startswith("text/javascript")
        assert json.loads(fetch(server.url + "page.json")[2])["name"] == "balls"
        address = server.url + describe(run_folder)["scenes"][0]["path"]
        whole = fetch(address)[2]
        status, headers, part = fetch(address, Range="bytes=3-9")
        assert (status, part) == (206, whole[3:10])
        assert headers["Content-Range"] == f"bytes 3-9/{len(whole)}"
        assert fetch(address, Range="bytes=-5")[2] == whole[-5:]
        assert fetch(address, Range=f"bytes={len(whole)}-")[0] == 416
        assert fetch(server.url + "files/../../x")[0] == 404


def test_a_page_elsewhere_cannot_read_through_a_name_of_its_own(run_folder):
    with Server(run_folder) as server:
        where = urlsplit(server.url)
        connection = http.client.HTTPConnection(where.hostname, where.port)
        connection.request("GET", "/page.json", headers={"Host": f"evil.example:{where.port}"})
        answer = connection.getresponse()
        answer.read()
        connection.close()
        assert answer.status == 421


def test_a_port_in_use_is_named(run_folder):
    with Server(run_folder) as server:
        port = urlsplit(server.url).port
        with pytest.raises(BusyError, match=f"port {port}"):
            Server(run_folder, port=port)


def test_an_exported_page_is_one_file_that_asks_for_nothing(run_folder):
    text = export(run_folder).read_text()
    assert 'src="' not in text.split("<script type=")[0]
    assert "files/stages" not in text.split('id="page-data">')[1].split("</script>")[0]
    data = json.loads(text.split('id="page-data">')[1].split("</script>")[0])
    assert data["scenes"][0]["path"].startswith("data:")
    assert data["cameras"]["views"][0]["photo"].startswith("data:image/png")
    assert data["live"] is False


def test_a_large_scene_is_put_into_an_exported_page_as_spz(run_folder, monkeypatch):
    monkeypatch.setattr(viewer_page, "CONVERTED_BYTES", 1000)
    plain = Path(run_folder / "stages/fit-12345678/out/scene.ply").stat().st_size
    text = export(run_folder).read_text()
    scene = json.loads(text.split('id="page-data">')[1].split("</script>")[0])["scenes"][0]
    assert scene["format"] == "spz"
    assert len(scene["path"]) < plain / 2


def test_what_is_too_large_for_an_exported_page_is_left_out_and_said(run_folder, monkeypatch):
    monkeypatch.setattr(viewer_page, "MOST_SCENE_BYTES", 1000)
    text = export(run_folder).read_text()
    data = json.loads(text.split('id="page-data">')[1].split("</script>")[0])
    assert data["scenes"] == []
    assert "too large" in data["notes"][-1]["message"]
