import stat
import zipfile
from pathlib import Path

import pytest

from fovea.service.archives import Limits, safe_name, unpack
from fovea.service.problems import RefusedError

LIMITS = Limits(entries=10, unpacked_bytes=5_000_000, ratio=100)


def packed(folder: Path, files: dict[str, bytes]) -> Path:
    path = folder / "sent.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def test_files_stand_where_the_archive_says(tmp_path: Path) -> None:
    files = {"transforms.json": b"{}", "train/0.png": b"x", "__MACOSX/._0": b"", ".DS_Store": b""}
    unpack(packed(tmp_path, files), tmp_path / "out", LIMITS)
    found = {path.relative_to(tmp_path / "out").as_posix() for path in tmp_path.rglob("out/*")}
    assert found == {"transforms.json", "train"}


def test_a_single_folder_around_all_is_taken_away(tmp_path: Path) -> None:
    unpack(packed(tmp_path, {"lego/a.json": b"{}", "lego/b/c": b""}), tmp_path / "out", LIMITS)
    assert (tmp_path / "out" / "a.json").is_file()
    assert (tmp_path / "out" / "b" / "c").is_file()


@pytest.mark.parametrize(
    "name", ["../evil", "a/../../evil", "/etc/evil", "C:\\evil", "a\\..\\evil", "a:b", "new\nline"]
)
def test_a_name_that_leads_elsewhere_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(RefusedError, match="is not a path inside it") as caught:
        unpack(packed(tmp_path, {"good": b"", name: b"x"}), tmp_path / "out", LIMITS)
    assert caught.value.code == "archive_unsafe_path"
    assert not (tmp_path / "out").exists()


def test_a_link_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "sent.zip"
    with zipfile.ZipFile(path, "w") as archive:
        link = zipfile.ZipInfo("link")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, "/etc/passwd")
    with pytest.raises(RefusedError, match="'link' is a link or a device"):
        unpack(path, tmp_path / "out", LIMITS)


@pytest.mark.parametrize(
    ("files", "code"),
    [
        ({str(n): b"" for n in range(11)}, "too_many"),
        ({"big": bytes(6_000_000)}, "too_large"),
        ({"bomb": bytes(4_000_000)}, "ratio"),
        ({"folder/": b""}, "empty"),
    ],
)
def test_too_much_is_refused_before_a_byte_is_written(
    tmp_path: Path, files: dict[str, bytes], code: str
) -> None:
    with pytest.raises(RefusedError) as caught:
        unpack(packed(tmp_path, files), tmp_path / "out", LIMITS)
    assert caught.value.code == f"archive_{code}"
    assert not (tmp_path / "out").exists()


def test_what_is_no_archive_is_refused(tmp_path: Path) -> None:
    path = packed(tmp_path, {"a": b"abc" * 1000})
    whole = path.read_bytes()
    for content in (b"text", whole[: len(whole) // 2], whole.replace(b"\x03\x04", b"\x03\x05", 1)):
        path.write_bytes(content)
        with pytest.raises(RefusedError, match="cannot be read"):
            unpack(path, tmp_path / "out", LIMITS)


def test_two_files_of_one_name_are_refused(tmp_path: Path) -> None:
    path = packed(tmp_path, {"a": b"x", "a/b": b"y"})
    with pytest.raises(RefusedError, match="one name"):
        unpack(path, tmp_path / "out", LIMITS)


def test_plain_names_are_left_as_they_are() -> None:
    assert safe_name("./train//0.png") == "train/0.png"
    assert safe_name("Föhn 1.png") == "Föhn 1.png"
