"""Files that are whole or not there: written under a temporary name beside the target, then renamed."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give the path of an empty file to write, which becomes `path` if the block ends well, and is removed if not.

    Parameters
    ----------
    path : Path
        Where the file is to be; a file of that name is replaced in one step.

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
    >>> from pullback.train import atomic
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with atomic.replacing(Path(folder) / "note.txt") as temporary:
    ...         _ = temporary.write_text("whole")
    ...     (Path(folder) / "note.txt").read_text()
    'whole'
    """
    if path.exists() and not path.is_file():
        raise OSError(f"{path} is not a regular file; it cannot be replaced")
    # Named before it is made, so that there is no moment at which it is there and nobody knows of it.
    temporary = path.with_name(f".pullback-{secrets.token_hex(8)}")
    try:
        _create(temporary)
        yield temporary
        os.replace(temporary, path)
    except OSError as error:
        # The user knows the file by its own name, and a full disk does not name any.
        raise OSError(error.errno, error.strerror or str(error), str(path)) from error
    finally:
        temporary.unlink(missing_ok=True)


def write(path: Path, content: bytes | str) -> None:
    """Write `content` to `path`, text as UTF-8; as :func:`replacing`."""
    with replacing(path) as temporary:
        temporary.write_bytes(content.encode() if isinstance(content, str) else content)


def _create(path: Path) -> None:
    """Make an empty file, which others may read as any new file."""
    os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
