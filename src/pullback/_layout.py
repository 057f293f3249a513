"""How the axes of an image, and of values on an output lattice, stand to the canonical (batch, channel, *spatial)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


def permute(array: Any, axes: tuple[int, ...]) -> Any:
    """Return a view of an array or a tensor with its axes reordered."""
    if axes == tuple(range(len(axes))):
        return array
    return array.permute(axes) if hasattr(array, "permute") else array.transpose(axes)


@dataclass(frozen=True)
class Layout:
    """The axes of an image.

    Attributes
    ----------
    ndim : int
        Number of spatial axes.
    batch : bool
        Whether the first axis is a batch.
    after_channel : int or None
        How many axes follow the channel axis; None where there is no channel axis.
    """

    ndim: int
    batch: bool
    after_channel: int | None

    def _channel_position(self, after_channel: int, lattice_ndim: int, batch: bool) -> int:
        """Where the channel axis stands among the axes of values on a lattice of `lattice_ndim` axes."""
        after = lattice_ndim if after_channel == self.ndim else min(after_channel, lattice_ndim)
        return int(batch) + lattice_ndim - after

    def canonical(self, array: Any, lattice_ndim: int, batch: bool) -> Any:
        """View `array`, whose axes may go on after those of the lattice, as (batch, channel, *lattice, ...)."""
        if self.after_channel is not None:
            position = self._channel_position(self.after_channel, lattice_ndim, batch)
            axes = list(range(array.ndim))
            axes.insert(int(batch), axes.pop(position))
            array = permute(array, tuple(axes))
        elif batch:
            array = array[:, None]
        else:
            array = array[None]
        return array if batch else array[None]

    def restore(self, values: Any, lattice_ndim: int, batch: bool) -> Any:
        """View canonical `values` in the layout of the image; the inverse of :meth:`canonical`."""
        if not batch:
            values = values[0]
        if self.after_channel is None:
            return values[:, 0] if batch else values[0]
        position = self._channel_position(self.after_channel, lattice_ndim, batch)
        axes = list(range(values.ndim))
        axes.insert(position, axes.pop(int(batch)))
        return permute(values, tuple(axes))

    def restored_shape(self, shape: tuple[int, ...], batch: bool) -> tuple[int, ...]:
        """Return the shape that :meth:`restore` gives canonical values of `shape`, (batch, channel, *lattice)."""
        lattice = shape[2:]
        restored = [*shape[: int(batch)], *lattice]
        if self.after_channel is not None:
            restored.insert(self._channel_position(self.after_channel, len(lattice), batch), shape[1])
        return tuple(restored)
