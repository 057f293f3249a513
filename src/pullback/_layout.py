"""How the axes of an image, and of values on an output lattice, stand to the canonical (batch, channel, *spatial)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pullback._cache import Hashed, cached

# What makes canonical values of those that have, by (a batch axis, a channel axis), the axes in their order; and back.
_ADDED: dict[tuple[bool, bool], tuple[Any, ...]] = {
    (True, True): (),
    (True, False): (slice(None), None),
    (False, True): (None,),
    (False, False): (None, None),
}
_TAKEN: dict[tuple[bool, bool], tuple[Any, ...]] = {
    (True, True): (),
    (True, False): (slice(None), 0),
    (False, True): (0,),
    (False, False): (0, 0),
}


def _permuted(array: Any, axes: tuple[int, ...]) -> Any:
    """Return a view of an array or a tensor with its axes reordered."""
    return array.permute(axes) if hasattr(array, "permute") else array.transpose(axes)


@cached
def _moved(ndim: int, source: int, destination: int) -> tuple[int, ...]:
    """Return the order of `ndim` axes of which one moves from `source` to `destination`."""
    axes = list(range(ndim))
    axes.insert(destination, axes.pop(source))
    return tuple(axes)


@dataclass(frozen=True, eq=False)
class Layout(Hashed):
    """The axes of an image.

    Attributes
    ----------
    ndim : int
        Number of spatial axes.
    batch : bool
        Whether the first axis is a batch.
    after_channel : int or None
        How many axes follow the channel axis; None where there is no channel axis.
    unlikely : bool
        Whether the image looks as if its axes were others.
    """

    ndim: int
    batch: bool
    after_channel: int | None
    unlikely: bool = False

    def _channel_position(self, after_channel: int, lattice_ndim: int, batch: bool) -> int:
        """Where the channel axis stands among the axes of values on a lattice of `lattice_ndim` axes."""
        after = lattice_ndim if after_channel == self.ndim else min(after_channel, lattice_ndim)
        return int(batch) + lattice_ndim - after

    def canonical(self, array: Any, lattice_ndim: int, batch: bool) -> Any:
        """View `array`, whose axes may go on after those of the lattice, as (batch, channel, *lattice, ...)."""
        after = self.after_channel
        if after is not None and after != self.ndim:
            position = self._channel_position(after, lattice_ndim, batch)
            array = _permuted(array, _moved(array.ndim, position, int(batch)))
        added = _ADDED[batch, after is not None]
        return array[added] if added else array

    def restore(self, values: Any, lattice_ndim: int, batch: bool) -> Any:
        """View canonical `values` in the layout of the image; the inverse of :meth:`canonical`."""
        after = self.after_channel
        taken = _TAKEN[batch, after is not None]
        values = values[taken] if taken else values
        if after is None or after == self.ndim:
            return values
        position = self._channel_position(after, lattice_ndim, batch)
        return _permuted(values, _moved(values.ndim, int(batch), position))

    def canonical_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return the shape that :meth:`canonical` gives an image of `shape`, (batch, channel, *spatial)."""
        spatial, batch, channels = list(shape), 1, 1
        if self.after_channel is not None:
            channels = spatial.pop(len(shape) - 1 - self.after_channel)
        if self.batch:
            batch = spatial.pop(0)
        return (batch, channels, *spatial)

    def restored_shape(self, shape: tuple[int, ...], batch: bool) -> tuple[int, ...]:
        """Return the shape that :meth:`restore` gives canonical values of `shape`, (batch, channel, *lattice)."""
        lattice = shape[2:]
        restored = [*shape[: int(batch)], *lattice]
        if self.after_channel is not None:
            restored.insert(self._channel_position(self.after_channel, len(lattice), batch), shape[1])
        return tuple(restored)
