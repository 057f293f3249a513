"""Files that are whole or not there, and JSON in which a flipped byte is seen.

A file is written under a temporary name beside the target, then renamed. What is read from a file that is damaged, or
is not what it was taken for, ends in a :class:`FileError` with the file's name, whatever it is that decoders raise.
"""

from __future__ import annotations

import json
import os
import secrets
import stat
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_CHECKSUM = "checksum"


class FileError(ValueError):
    """A file that is missing, damaged, or not what it was taken for; the message has its name."""


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give the path of an empty file to write, which becomes `path` if the block ends well, and is removed if not.

    Parameters
    ----------
    path : Path
        Where the file is to be; a file of that name is replaced in one step, and keeps its permissions. A link stays
        one, and what it leads to is replaced.

    Yields
    ------
    Path
        A new file in the same folder.

    Raises
    ------
    OSError
        If the folder cannot be written, or `path` is something else than a file, such as a folder or a device.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import pullback._files as _files
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with _files.replacing(Path(folder) / "note.txt") as temporary:
    ...         _ = temporary.write_text("whole")
    ...     (Path(folder) / "note.txt").read_text()
    'whole'
    """
    there = path.exists()
    if there and not path.is_file():
        raise OSError(f"{path} is not a regular file; it cannot be replaced")
    target = Path(os.path.realpath(path))
    # Named before it is made, so that there is no moment at which it is there and nobody knows of it.
    temporary = target.with_name(f".pullback-{secrets.token_hex(8)}")
    try:
        _create(temporary)
        yield temporary
        _settle(temporary)
        if there:
            os.chmod(temporary, stat.S_IMODE(target.stat().st_mode))
        os.replace(temporary, target)
    except OSError as error:
        # The user knows the file by its own name, and a full disk does not name any.
        raise OSError(error.errno, error.strerror or str(error), str(path)) from error
    finally:
        temporary.unlink(missing_ok=True)


def write(path: Path, content: bytes | str) -> None:
    """Write `content` to `path`, text as UTF-8; as :func:`replacing`."""
    with replacing(path) as temporary:
        temporary.write_bytes(content.encode() if isinstance(content, str) else content)


def sweep(folder: Path) -> None:
    """Remove what writers that were killed have left in a folder, in which nobody else writes now."""
    for path in folder.glob(".pullback-*"):
        path.unlink(missing_ok=True)


def json_text(content: dict[str, Any], indent: int) -> str:
    """Return `content` as JSON with a checksum, which :func:`parsed` holds against it."""
    return json.dumps({**content, _CHECKSUM: _checksum(content)}, indent=indent, allow_nan=False) + "\n"


def parsed(text: bytes | str) -> dict[str, Any]:
    """Return the object that a JSON text holds.

    Raises
    ------
    ValueError
        If the text is no JSON object, holds numbers that JSON does not know, or has another checksum than what it
        says. One without a checksum, such as one written by hand, is taken as it is.
    """
    try:
        content = json.loads(text, parse_constant=_refuse)
        if not isinstance(content, dict):
            raise ValueError("it is no JSON object")
        told = content.pop(_CHECKSUM, None)
        if told is not None and told != _checksum(content):
            raise ValueError(f"its {_CHECKSUM} is of something else; if it was changed on purpose, take that entry out")
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    return content


def _checksum(content: dict[str, Any]) -> str:
    """Return the CRC-32 of what an object holds, however it is set out."""
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return f"{zlib.crc32(canonical.encode()):08x}"


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON")


def _create(path: Path) -> None:
    """Make an empty file, which others may read as any new file."""
    os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))


def _settle(path: Path) -> None:
    """Have a file on the disk before its name is, so that a loss of power leaves the old one or the new one."""
    file = os.open(path, os.O_RDWR)
    try:
        os.fsync(file)
    finally:
        os.close(file)
