import json

import pytest

from fovea import console
from fovea.scene.raster import compiled, warmup


@pytest.fixture
def two_modules(tmp_path, monkeypatch):
    """A cache of its own, in which only little has to be compiled."""
    monkeypatch.setattr(compiled, "SOURCES", ("harmonics", "blend"))
    monkeypatch.setattr(compiled, "CHANNEL_COUNTS", (1,))
    monkeypatch.setattr(compiled, "OTHERS", ())
    return tmp_path


def test_warmup_says_what_it_did_and_where_it_lies(two_modules, capsys):
    assert warmup.main([]) == 0
    text = capsys.readouterr().out
    assert "1/2 harmonics" in text
    assert "2/2 blend with 1 channels" in text
    assert "found 2 of 2 in" in text or "compiled" in text
    assert str(compiled.cache_folder()) in text


def test_warmup_answers_a_program_in_json(two_modules, capsys, monkeypatch):
    monkeypatch.setattr(console.style, "as_json", True)
    assert warmup.main([]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["folder"] == str(compiled.cache_folder())
    assert answer["seconds"] >= 0


def test_every_package_with_kernels_is_known():
    assert compiled.sources(compiled.PACKAGE) == sorted(compiled.SOURCES)
    assert {"histogram", "words"} <= set(compiled.sources("fovea.events"))
