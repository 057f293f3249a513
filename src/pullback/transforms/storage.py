"""Transforms in files: JSON for a few numbers that people may want to read, npz for many.

Both hold one description, a tree of families and of the arguments that make them again, which are those of pickling
(:meth:`object.__reduce__`) under their names::

    {"format": "pullback transform", "version": 1, "family": "Translation",
     "arguments": {"parameters": {"shape": [2], "values": [1.0, 2.0]}}, "checksum": "6bde8f9b"}

In JSON, arrays are written out. A float is the shortest text that reads back as the same float64 (its ``repr``), and
those that JSON does not know are the strings ``"nan"``, ``"inf"`` and ``"-inf"``. The checksum is a CRC-32 of all else;
who changes numbers by hand takes it out. In npz, whose members have a CRC-32 each, the description is the text
``description.npy``, in which an array is the name of another member: ``{"member": "array_0"}``. Neither holds code,
nor is any run to read it: a family is looked up by its name among the subclasses of :class:`Stored`.
"""

from __future__ import annotations

import inspect
import io
import json
import math
import os
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt

import pullback._files as _files

if TYPE_CHECKING:
    from typing import Self

StrPath: TypeAlias = "str | os.PathLike[str]"
Array: TypeAlias = npt.NDArray[np.float64]

FORMAT = "pullback transform"
VERSION = 1

# More numbers than this are no text to read, and take a third of the room in npz.
_MOST_NUMBERS_AS_TEXT = 1000
_ZIP = b"PK\x03\x04"


class Stored:
    """A transform that can be written to a file and read back."""

    if TYPE_CHECKING:
        parameters: Any

        @classmethod
        def from_parameters(cls, parameters: Any) -> Self: ...  # noqa: D102
        def numpy(self) -> Self: ...  # noqa: D102

    @property
    def _arguments(self) -> tuple[Any, ...]:
        """What `from_parameters` makes this transform from again."""
        return (self.parameters,)

    def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
        # By a function: a method of a class is a call of `getattr`, which no restricted reader of pickles allows.
        return made_again, (type(self), *self._arguments)

    def save(self, path: StrPath) -> None:
        """Write this transform to a file, from which :meth:`load` reads it back bit for bit.

        Parameters
        ----------
        path : str or path
            Where to; the end of the name says how. ``.json``: text, for a transform of at most 1,000 numbers.
            ``.npz``: NumPy's archive, for any. A file that is there is replaced, in one step: whatever stops it, the
            file is the old one or the new one.

        Raises
        ------
        ValueError
            If `path` ends in something else, or the transform is too large for JSON.
        TypeError
            If the family is one that :meth:`load` would not find, such as a class with the name of another.

        Notes
        -----
        Tensors are cut off from their autograd graph and written as float64 arrays, which hold every narrower float.
        NaN and infinities are kept.

        Examples
        --------
        >>> import tempfile
        >>> from pathlib import Path
        >>> from pullback.transforms import Transform, Translation
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder, "step.json")
        ...     Translation([1.0, 2.0]).save(path)
        ...     Transform.load(path)
        Translation(offset=[1, 2])
        """
        name = f"{type(self).__name__}.save"
        suffix = Path(path).suffix.lower()
        if suffix not in (".json", ".npz"):
            raise ValueError(f"{name}: `path` ends in {suffix!r}; give a name that ends in '.json' or '.npz'")
        arrays: list[Array] = []
        description = {"format": FORMAT, "version": VERSION, **_described(name, self, arrays)}
        if suffix == ".json":
            count = sum(array.size for array in arrays)
            if count > _MOST_NUMBERS_AS_TEXT:
                raise ValueError(
                    f"{name}: the transform has {count} numbers; as JSON, write at most {_MOST_NUMBERS_AS_TEXT}, "
                    "or give a `path` that ends in '.npz'"
                )
            _files.write(Path(path), _files.json_text(_spelled_out(description, arrays), 1))
        else:
            members: dict[str, Any] = {f"array_{k}": array for k, array in enumerate(arrays)}
            with _files.replacing(Path(path)) as temporary, temporary.open("wb") as file:
                np.savez(file, description=np.array(json.dumps(description, allow_nan=False)), **members)

    @classmethod
    def load(cls, path: StrPath) -> Self:
        """Read a transform from a file that :meth:`save` wrote.

        Parameters
        ----------
        path : str or path
            The file. What it holds says whether it is JSON or npz, not its name.

        Returns
        -------
        Transform
            On float64 NumPy arrays, of the family that was saved; :meth:`pullback.Transform.torch` makes tensors of
            them.

        Raises
        ------
        ValueError
            If the file is damaged, was written by something else or by a later version, holds a family that is not
            known here, or one that is not of the class that `load` is called on: ``Transform.load`` takes them all,
            ``Affine.load`` only an affine map.
        OSError
            If there is no such file.

        Examples
        --------
        >>> import tempfile
        >>> from pathlib import Path
        >>> import numpy as np
        >>> from pullback.transforms import Transform, Velocity
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder, "flow.npz")
        ...     Velocity(np.zeros((20, 30, 2)), steps=5).save(path)
        ...     Transform.load(path).steps
        5
        """
        return cls._read(f"{cls.__name__}.load", path)

    @classmethod
    def _read(cls, function: str, path: StrPath) -> Self:
        """Return the transform in a file; `function` is the name for errors."""
        transform = _read(function, path)
        if not isinstance(transform, cls):
            raise _files.FileError(
                f"{function}: {os.fspath(path)!r} holds a transform of the family {type(transform).__name__}; "
                "load it by that class, or by Transform"
            )
        return transform

    @classmethod
    def _families(cls) -> Iterator[type[Self]]:
        """Yield the classes derived from this one that transforms can be of, each before those derived from it."""
        for subclass in cls.__subclasses__():
            if not inspect.isabstract(subclass):
                yield subclass
            yield from subclass._families()


def made_again(family: type[Stored], *arguments: Any) -> Stored:
    """Return the transform of a family that is pickled with some arguments."""
    if not (isinstance(family, type) and issubclass(family, Stored)):
        raise TypeError(f"{family!r} is no family of transforms")
    return family.from_parameters(*arguments)


def trust() -> None:
    """Let `torch.load` take transforms of pullback's own families from checkpoints with ``weights_only=True``.

    The arrays of NumPy in them are let in too: what makes an array again, and its dtype, calls nothing else.
    """
    import torch

    if not hasattr(torch.serialization, "add_safe_globals"):
        return
    array = np.zeros(1)
    dtypes = {type(np.dtype(name)) for name in ("float16", "float32", "float64")}
    families = [family for family in Stored._families() if family.__module__.startswith("pullback.")]
    again: Any = array.__reduce__()[0]
    # `bytes` is how an array without entries is pickled.
    torch.serialization.add_safe_globals([made_again, *families, again, np.ndarray, np.dtype, *dtypes, bytes])


def _families() -> dict[str, type[Stored]]:
    """Return the families by name; no later class takes the name of one of pullback's own."""
    families: dict[str, type[Stored]] = {}
    for family in Stored._families():
        if family.__module__.startswith("pullback.") or not _is_own(families.get(family.__name__)):
            families[family.__name__] = family
    return families


def _is_own(family: type[Stored] | None) -> bool:
    return family is not None and family.__module__.startswith("pullback.")


def _maker(family: type[Stored]) -> Callable[..., Stored]:
    """Return what makes a transform of a family from the arguments that it is pickled with."""
    return family.from_parameters if family.__reduce__ is Stored.__reduce__ else family


def _described(name: str, transform: Any, arrays: list[Array]) -> dict[str, Any]:
    """Return the family and the arguments of a transform, and put the arrays among them at the end of `arrays`."""
    family = type(transform)
    maker, arguments = transform.numpy().__reduce__()
    if maker is made_again:
        maker, arguments = family.from_parameters, arguments[1:]
    if _families().get(family.__name__) is not family or maker != _maker(family):
        raise TypeError(
            f"{name}: {family.__module__}.{family.__name__} could not be loaded again; its name must be its own, and "
            "it must be pickled as a call of the class"
        )
    named = inspect.signature(maker).bind(*arguments).arguments
    return {
        "family": family.__name__,
        "arguments": {key: _described_value(name, value, arrays) for key, value in named.items()},
    }


def _described_value(name: str, value: Any, arrays: list[Array]) -> Any:
    if isinstance(value, Stored):
        return _described(name, value, arrays)
    if isinstance(value, tuple | list):
        return [_described_value(name, part, arrays) for part in value]
    if isinstance(value, np.ndarray):
        arrays.append(np.asarray(value, np.float64))
        return {"member": f"array_{len(arrays) - 1}"}
    if isinstance(value, bool):
        return value
    if isinstance(value, int | np.integer):
        return int(value)
    if isinstance(value, float | np.floating):
        return _spelled(float(value))
    raise TypeError(f"{name}: an argument is {type(value).__name__}; only arrays, numbers and transforms can be saved")


def _spelled(value: float) -> float | str:
    return value if math.isfinite(value) else repr(value)


def _spelled_out(description: Any, arrays: list[Array]) -> Any:
    """Return a description with its arrays in it."""
    if isinstance(description, list):
        return [_spelled_out(part, arrays) for part in description]
    if not isinstance(description, dict):
        return description
    if "member" in description:
        array = arrays[int(description["member"].removeprefix("array_"))]
        return {"shape": list(array.shape), "values": [_spelled(value) for value in array.ravel().tolist()]}
    return {key: _spelled_out(part, arrays) for key, part in description.items()}


def _read(name: str, path: StrPath) -> Stored:
    content = Path(path).read_bytes()
    where = f"{name}: {os.fspath(path)!r}"
    members: dict[str, Array] = {}
    try:
        if content.startswith(_ZIP):
            description, members = _read_archive(content)
        else:
            description = _files.parsed(content)
    except Exception as error:  # what a damaged archive leads its reader into is anyone's guess
        raise _files.FileError(f"{where} is damaged, or no file of a transform ({error})") from error
    if description.pop("format", None) != FORMAT:
        raise _files.FileError(f"{where} is no file of a transform; give one that Transform.save wrote")
    version = description.pop("version", None)
    if version != VERSION:
        raise _files.FileError(
            f"{where} has version {version!r} of the format, but this pullback reads version {VERSION}"
        )
    return _made(where, description, members)


def _read_archive(content: bytes) -> tuple[dict[str, Any], dict[str, Array]]:
    """Return the description in an archive, and its arrays by name; nothing is larger than what is in the file."""
    members: dict[str, Any] = {}
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        infos = archive.infolist()
        if any(info.compress_type != zipfile.ZIP_STORED for info in infos):
            raise ValueError("its members are compressed")
        if sum(info.file_size for info in infos) > len(content):
            raise ValueError("its members are larger than the file")
        for member in infos:
            members[member.filename.removesuffix(".npy")] = _read_array(archive.read(member))
    description = members.pop("description")
    if description.dtype.kind != "U" or any(array.dtype != np.float64 for array in members.values()):
        raise ValueError("its arrays are not of text and of float64")
    return _files.parsed(str(description)), members


def _read_array(content: bytes) -> npt.NDArray[Any]:
    """Return the array of a .npy file, if that is as large as it says."""
    file = io.BytesIO(content)
    version = np.lib.format.read_magic(file)
    if version != (1, 0):
        raise ValueError(f"version {version} of the .npy format")
    shape, _, dtype = np.lib.format.read_array_header_1_0(file)
    if dtype.hasobject or math.prod(shape) * dtype.itemsize != len(content) - file.tell():
        raise ValueError(f"an array of {dtype} of shape {shape} in {len(content)} bytes")
    file.seek(0)
    return np.asarray(np.lib.format.read_array(file, allow_pickle=False))


def _made(where: str, description: Any, members: dict[str, Array]) -> Stored:
    """Return the transform of a description."""
    try:
        name, arguments = description["family"], description["arguments"]
        if len(description) > 2:
            raise ValueError(f"it has entries that are not known: {', '.join(description.keys())}")
        family = _families().get(name)
        if family is None:
            raise _files.FileError(
                f"{where} holds a transform of the family {name!r}, which is not known here; known are "
                f"{', '.join(sorted(_families()))}"
            )
        maker = _maker(family)
        values = {key: _value(where, value, members) for key, value in arguments.items()}
        several = [p.name for p in inspect.signature(maker).parameters.values() if p.kind is p.VAR_POSITIONAL]
        parts = [part for key in several for part in values.pop(key)]
        return maker(*parts, **values)
    except (_files.FileError, MemoryError):
        raise
    except Exception as error:  # of whatever is wrong with the arguments that a family is made from
        raise _files.FileError(f"{where} is damaged ({error})") from error


def _value(where: str, description: Any, members: dict[str, Array]) -> Any:
    if isinstance(description, list):
        return [_value(where, part, members) for part in description]
    if isinstance(description, bool | int):
        return description
    if not isinstance(description, dict):
        return _number(description)
    if "family" in description:
        return _made(where, description, members)
    if "member" in description:
        return members[description["member"]]
    shape = description["shape"]
    if not all(type(side) is int and side >= 0 for side in shape):
        raise ValueError(f"the shape of an array is {shape}")
    return np.array([_number(value) for value in description["values"]], np.float64).reshape(shape)


def _number(value: Any) -> float:
    if type(value) in (int, float) or value in ("nan", "inf", "-inf"):
        return float(value)
    raise ValueError(f"{value!r} is no number")
