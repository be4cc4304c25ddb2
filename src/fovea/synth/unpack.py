"""Files that are not read as they are: packed, encrypted, or one document instead of lines.

Each is written out once, a row a line, into a folder of work; a packed file that is cut off gives
the rows before the cut and a last line that says so.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import orjson

from fovea.errors import BackendError, ConfigError, DataError

if TYPE_CHECKING:
    from cryptography.fernet import Fernet

PACKED = {".gz": "gzip", ".zst": "zstd"}
BLOCK_BYTES = 1 << 23
PACKED_BYTES = 1 << 16
"""Read at once of a packed file: as much as is lost before the place where one is cut off."""
CUT = b"\x00cut off: "
"""Begins the line that stands for all that is missing of a file."""
KEY_VARIABLE = "DJ_ENCRYPTION_KEY"


def as_lines(file: Path, folder: Path) -> Path:
    """The file itself where it has a row a line, else one written from it into `folder`.

    Raises:
        DataError: nothing of it can be read.
    """
    packing = PACKED.get(file.suffix)
    if not packing and not _is_document(file):
        return file
    target = folder / f"{_stamp(file)}.jsonl"
    if not target.exists():
        folder.mkdir(parents=True, exist_ok=True)
        draft = target.with_suffix(".draft")
        if packing:
            _unpack(file, packing, draft)
        else:
            _write_rows(file, draft)
        if packing and _is_document(draft):
            whole = draft.rename(draft.with_suffix(".json"))
            _write_rows(whole, draft)
            whole.unlink()
        draft.replace(target)
    return target


def _stamp(file: Path) -> str:
    stat = file.stat()
    stamp = f"{file.absolute()}:{stat.st_size}:{stat.st_mtime_ns}"
    return hashlib.sha256(stamp.encode()).hexdigest()[:16]


def _unpack(file: Path, packing: str, target: Path) -> None:
    import pyarrow as pa

    got = 0
    with target.open("wb") as out:
        try:
            with pa.input_stream(str(file), compression=packing) as packed:
                while block := packed.read(PACKED_BYTES):
                    out.write(block)
                    got += len(block)
        except (OSError, EOFError) as error:
            if not got:
                raise DataError(f"{file} cannot be unpacked: {error}. Pack it again.") from error
            _mark_cut(out, str(error))


def _mark_cut(out: IO[bytes], message: str) -> None:
    first = message.splitlines()[0] if message else "it ends too early"
    out.write(b"\n" + CUT + first.encode() + b"\n")


def _is_document(file: Path) -> bool:
    """Whether a file holds one list of rows rather than a row a line."""
    if not file.name.endswith((".json", ".json.gz", ".json.zst", ".draft")):
        return False
    with file.open("rb") as opened:
        return opened.read(BLOCK_BYTES).removeprefix(b"\xef\xbb\xbf").lstrip()[:1] == b"["


def _write_rows(file: Path, target: Path) -> None:
    try:
        rows: Any = orjson.loads(file.read_bytes().removeprefix(b"\xef\xbb\xbf"))
    except orjson.JSONDecodeError as error:
        raise DataError(f"{file} is no JSON: {error}. Mend it.") from error
    with target.open("wb") as out:
        for row in rows:
            out.write(orjson.dumps(row) + b"\n")


def decrypted(file: Path, folder: Path, fernet: Fernet) -> Path:
    """The content of an encrypted file, in a file of the same ending in `folder`.

    Raises:
        DataError: the key does not open it.
    """
    from cryptography.fernet import InvalidToken

    target = folder / f"{_stamp(file)}-{file.name}"
    if not target.exists():
        folder.mkdir(parents=True, exist_ok=True)
        try:
            content = fernet.decrypt(file.read_bytes())
        except InvalidToken:
            raise DataError(
                f"{file} does not open with this key: it is not encrypted by Fernet, or with"
                " another key. Look at encryption_key_path, or leave out decrypt_after_reading."
            ) from None
        draft = target.with_name(f".{target.name}.draft")
        draft.touch(mode=0o600)
        draft.write_bytes(content)
        draft.replace(target)
    return target


def encrypt(file: Path, fernet: Fernet) -> None:
    """Put the encrypted content in place of a file's own."""
    draft = file.with_name(f".{file.name}.draft")
    draft.write_bytes(fernet.encrypt(file.read_bytes()))
    draft.replace(file)


def fernet_of(key_path: str | None) -> Fernet:
    """What encrypts and decrypts with the key of a file, or of the environment.

    Raises:
        BackendError: a package is missing.
        ConfigError: there is no key, or it is none.
    """
    try:
        from cryptography.fernet import Fernet
    except ModuleNotFoundError:
        raise BackendError(
            "encryption needs the package cryptography, which is not installed. Run: pip install"
            " 'fovea-vision[synth]'."
        ) from None
    if key_path and not Path(key_path).is_file():
        raise ConfigError(
            f"encryption_key_path names {key_path}, and there is no such file. Make a key: python"
            " -c 'from cryptography.fernet import Fernet as F; print(F.generate_key().decode())'"
        )
    key = Path(key_path).read_text().strip() if key_path else os.environ.get(KEY_VARIABLE)
    if not key:
        raise ConfigError(
            f"encryption needs a key. Set encryption_key_path=FILE or the variable {KEY_VARIABLE}."
        )
    try:
        return Fernet(key)
    except ValueError as error:
        raise ConfigError(
            f"the key of {key_path or KEY_VARIABLE} is none of Fernet's: {error}. It is 32 bytes in"
            " url-safe base64."
        ) from None
