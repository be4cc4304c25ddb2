"""`fovea view` as a person starts and ends it."""

from __future__ import annotations

import signal
import subprocess
import sys
import urllib.request

from fovea.viewer.command import main


def test_view_prints_the_address_serves_and_ends_cleanly_with_ctrl_c(scene):
    command = [sys.executable, "-m", "fovea", "view", str(scene), "--no-open"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, **pipes) as process:
        address = process.stdout.readline().strip()
        assert address.startswith("http://127.0.0.1:")
        with urllib.request.urlopen(address) as answer:
            assert b"fovea" in answer.read()
        process.send_signal(signal.SIGINT)
        _, complaints = process.communicate(timeout=60)
        assert process.returncode == 0
        assert complaints == ""


def test_view_of_nothing_says_what_it_shows(tmp_path):
    command = [sys.executable, "-m", "fovea", "view", str(tmp_path / "gone"), "--no-open"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "a run's folder" in done.stderr
    assert "does not exist" in done.stderr
    assert "Traceback" not in done.stderr


def test_view_export_writes_the_page_and_says_where(run_folder, capsys):
    assert main([str(run_folder), "--export"]) == 0
    page = run_folder / "page/index.html"
    assert page.is_file()
    assert capsys.readouterr().out.strip() == str(page)
