"""What was taken from npm is what the manifest says, with its licences."""

import hashlib
import json
from pathlib import Path

VENDOR = Path(__file__).parents[2] / "src/fovea/viewer/vendor"
STATIC = VENDOR.parent / "static"
MANIFEST = json.loads((VENDOR / "manifest.json").read_text())


def test_every_vendored_file_has_the_hash_of_the_manifest():
    found = {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in VENDOR.iterdir()
        if path.name != "manifest.json"
    }
    assert found == MANIFEST["sha256"]


def test_versions_are_those_of_the_lock_and_licences_are_there():
    lock = json.loads((VENDOR / "package-lock.json").read_text())["packages"]
    for name, about in MANIFEST["packages"].items():
        assert lock[f"node_modules/{name}"]["version"] == about["version"]
        licence = (VENDOR / f"{name.split('/')[-1]}-LICENSE.txt").read_text()
        assert about["licence"] == "MIT"
        assert "Permission is hereby granted" in licence


def test_the_page_holds_no_script_or_style_inside_and_names_nothing_elsewhere():
    page = (STATIC / "index.html").read_text()
    assert "<style" not in page
    assert " style=" not in page
    assert page.count("<script ") == page.count("></script>")
    for path in STATIC.iterdir():
        text = path.read_text().replace("http://www.w3.org/2000/svg", "")
        assert "://" not in text, path
