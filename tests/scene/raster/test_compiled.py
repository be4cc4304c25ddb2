import logging

import pytest

from fovea.scene.raster import compiled


def test_marked_lines_are_repeated_for_every_channel():
    source = "CHANNELS = 1\nV_0 = 5 + 0 * 1  # each channel\nother_0 = 10 * V_0\n"
    assert compiled.repeat_channels(source, 3).splitlines() == [
        "CHANNELS = 3",
        "V_0 = 5 + 0 * 1  # each channel",
        "V_1 = 5 + 1 * 1  # each channel",
        "V_2 = 5 + 2 * 1  # each channel",
        "other_0 = 10 * V_0",
    ]


@pytest.mark.parametrize(
    ("wanted", "drawn", "passes"),
    [
        (1, 1, [(0, 1)]),
        (2, 3, [(0, 3)]),
        (13, 16, [(0, 16)]),
        (16, 16, [(0, 16)]),
        (18, 19, [(0, 16), (16, 3)]),
        (40, 40, [(0, 16), (16, 16), (32, 8)]),
    ],
)
def test_channels_are_padded_to_few_counts_and_cut_into_passes(wanted, drawn, passes):
    assert compiled.padded(wanted) == drawn
    assert compiled.passes(drawn) == passes


def test_the_first_load_says_what_it_compiles_and_the_next_is_silent(tmp_path, monkeypatch, caplog):
    monkeypatch.setenv("FOVEA_CACHE", str(tmp_path))
    load = compiled.kernels.__wrapped__
    assert not compiled.is_compiled("harmonics")
    with caplog.at_level(logging.INFO, logger="fovea"):
        load("harmonics")
    assert "compiling the kernels 'harmonics' for this machine" in caplog.text
    assert "fovea warmup" in caplog.text
    assert compiled.is_compiled("harmonics")
    caplog.clear()
    with caplog.at_level(logging.INFO, logger="fovea"):
        load("harmonics")
    assert caplog.text == ""


def test_another_source_never_meets_the_old_machine_code(tmp_path, monkeypatch):
    monkeypatch.setenv("FOVEA_CACHE", str(tmp_path))
    before, text = compiled._copy("harmonics", None)
    assert before.parent == tmp_path / "kernels"
    monkeypatch.setattr(compiled, "_source", lambda name, channels, package: text + "# changed\n")
    assert compiled._copy("harmonics", None)[0] != before
