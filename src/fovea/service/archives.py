"""Archives from strangers, unpacked without harm.

Everything is checked from the archive's own list before a byte is written: how many files, how
large, how much larger than packed, where they would go, and that each is a plain file.
"""

from __future__ import annotations

import re
import shutil
import stat
import zipfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from fovea.service.problems import RefusedError

SMALL_BYTES = 1_000_000
"""Files up to this size may be packed as well as they like."""
_JUNK = re.compile(r"(^|/)(__MACOSX/|\.DS_Store$|Thumbs\.db$)")


@dataclass(frozen=True)
class Limits:
    """What is taken in."""

    entries: int
    unpacked_bytes: int
    ratio: int


def unpack(archive: Path, folder: Path, limits: Limits) -> None:
    """Unpack a zip file into a new folder; a single folder at its top is left out.

    Raises:
        RefusedError: it is damaged, too large, or would write where it should not.
    """
    try:
        with zipfile.ZipFile(archive) as opened:
            members = _checked(opened, limits)
            for name, member in members.items():
                target = folder / name
                target.parent.mkdir(parents=True, exist_ok=True)
                with opened.open(member) as source, target.open("xb") as file:
                    shutil.copyfileobj(source, file, 1 << 20)
    except (zipfile.BadZipFile, zipfile.LargeZipFile, EOFError, NotImplementedError) as error:
        raise _refused("damaged", f"it cannot be read: {error}") from error
    except (FileExistsError, NotADirectoryError, IsADirectoryError) as error:
        raise _refused("twice", f"two of its files have one name: {error.filename}") from error
    lift_single_folder(folder)


def safe_name(name: str) -> str:
    """A relative path that stays below where it is put.

    Raises:
        RefusedError: it does not.
    """
    parts = PurePosixPath(name).parts
    odd = "\\" in name or "\0" in name or ":" in name or not name.isprintable()
    odd = odd or any(len(part.encode()) > 255 for part in parts)
    if not parts or odd or name.startswith("/") or ".." in parts or len(name) > 500:
        raise _refused("unsafe_path", f"{name[:80]!r} is not a path inside it")
    return PurePosixPath(*parts).as_posix()


def lift_single_folder(folder: Path) -> None:
    """Where all stands in one folder, take that folder away: `lego/lego/...` becomes `lego/...`."""
    inner = list(folder.iterdir())
    if len(inner) == 1 and inner[0].is_dir():
        lifted = folder.with_name(f"{folder.name}.lifted")
        inner[0].rename(lifted)
        folder.rmdir()
        lifted.rename(folder)


def _checked(opened: zipfile.ZipFile, limits: Limits) -> dict[str, zipfile.ZipInfo]:
    listed = opened.infolist()
    if len(listed) > limits.entries:
        raise _refused("too_many", f"it has {len(listed)} entries; at most {limits.entries} go")
    total = sum(member.file_size for member in listed)
    if total > limits.unpacked_bytes:
        most = limits.unpacked_bytes // 1_000_000
        raise _refused("too_large", f"it unpacks to {total // 1_000_000} MB; at most {most} go")
    members: dict[str, zipfile.ZipInfo] = {}
    for member in listed:
        name = safe_name(member.filename)
        if member.is_dir() or _JUNK.search(member.filename):
            continue
        _check_member(member, limits)
        if name in members:
            raise _refused("twice", f"'{name}' is in it twice")
        members[name] = member
    if not members:
        raise _refused("empty", "there is no file in it")
    return members


def _check_member(member: zipfile.ZipInfo, limits: Limits) -> None:
    kind = stat.S_IFMT(member.external_attr >> 16)
    if kind not in (0, stat.S_IFREG):
        raise _refused("not_a_file", f"'{member.filename}' is a link or a device")
    if member.flag_bits & 1:
        raise _refused("encrypted", f"'{member.filename}' needs a password")
    is_bomb = member.file_size > limits.ratio * max(1, member.compress_size)
    if is_bomb and member.file_size > SMALL_BYTES:
        ratio = member.file_size // max(1, member.compress_size)
        raise _refused(
            "ratio", f"'{member.filename}' grows {ratio}-fold; at most {limits.ratio} goes"
        )


def _refused(code: str, why: str) -> RefusedError:
    status = 413 if code in ("too_large", "too_many", "ratio") else 422
    return RefusedError(status, f"archive_{code}", f"this archive is not taken in: {why}.")
