"""Footprints that differ from pixel to pixel, where a map is not affine.

Each pixel has a Jacobian of its own: a projective map says it, and for other maps the differences between the points of
the output lattice do. The pixels that shrink read as many positions as their own footprint has, and of these only what
can reach a sample: what lies beyond an image that ends is `fill`, and is not read. So a pixel next to a horizon, whose
footprint has no end, reads no more than the image is long, and one that sees nothing reads nothing.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from pullback._arrays import detached, like, namespace
from pullback._kernels import KERNELS
from pullback._plan import BORDERS, LATTICES, PROJECTIVE_LATTICES, Lattice, Plan, is_reversed, lattice_of
from pullback.sampling.call import Call
from pullback.sampling.known import fill_values
from pullback.warping.through import coordinates_through

Array = npt.NDArray[np.float64]

# What is said where the values of a transform are not there.
NEEDS = ": antialias=True"
INSTEAD = "use resize to shrink, or warp outside of what is traced"
Indices = npt.NDArray[np.int64]

# A pixel has so many positions at most, a shrink by 16 on two axes; beyond, they lie farther apart.
_MOST_POSITIONS = 1024
# Coordinates in single precision are off by less: what is closer to a whole number is that number.
_PRECISION = 1e-6
# Points that are farther away are read from nowhere, and have no footprint.
_FARTHEST = 1e29
# How many values are read at once: few enough to stay in the cache, enough to outweigh a call.
_VALUES_A_PASS = 2**16


class Pass(NamedTuple):
    """Some positions, those of the footprints of consecutive pixels.

    Attributes
    ----------
    pixel, positions : ndarray of int, (q,)
        The pixels, as numbers of points of the lattice, and how many positions each has.
    point : ndarray of int, (n,)
        The pixel of each position. The last ones, beyond the sum of `positions`, belong to none.
    shift : ndarray, (n, d)
        The way there from the point of the pixel, in the units and the order of the coordinates.
    weight : ndarray, (n,)
    """

    pixel: Indices
    positions: Indices
    point: Indices
    shift: Array
    weight: Array


@dataclass(frozen=True)
class Footprints:
    """The footprints of one map, of the pixels that shrink and see something of the image.

    Attributes
    ----------
    pixel : ndarray of int, (Q,)
        Their numbers, in order.
    axes : ndarray, (Q, d, d)
        Row i is the step along axis i of the footprint, in the units and the order of the coordinates.
    steps : ndarray of int, (Q, d)
        Index k along an axis has the weight (steps - abs(k)) / steps^2, abs(k) being below `steps`.
    first, count : ndarray of int, (Q, d)
        The indices that are read, and how many.
    """

    pixel: Indices
    axes: Array
    steps: Indices
    first: Indices
    count: Indices

    @property
    def positions(self) -> Indices:
        """How many positions each pixel reads, (Q,)."""
        total: Indices = self.count.prod(axis=-1)
        return total

    def unread(self) -> Array:
        """Return how much of the weight is on positions that are not read, (Q,)."""
        m, before = self.steps, self.steps + self.first - 1
        read = np.prod((_triangle(before + self.count, m) - _triangle(before, m)) / m**2, axis=-1)
        return np.where((self.count == 2 * m - 1).all(axis=-1), 0.0, 1 - read)

    def passes(self, size: int) -> Iterator[Pass]:
        """Yield all positions, about `size` at a time."""
        ends, start = np.cumsum(self.positions), 0
        while start < len(ends):
            read = ends[start - 1] if start else 0
            stop = max(int(np.searchsorted(ends, read + size, side="right")), start + 1)
            yield self._pass(slice(start, stop))
            start = stop

    def _pass(self, part: slice) -> Pass:
        first, count, steps, axes = self.first[part], self.count[part], self.steps[part], self.axes[part]
        number = self.positions[part]
        owner = np.repeat(np.arange(len(number)), number)
        rest = np.arange(len(owner)) - np.repeat(np.cumsum(number) - number, number)
        shift, weight = np.zeros((len(owner), count.shape[-1])), np.ones(len(owner))
        for axis in range(count.shape[-1] - 1, -1, -1):
            rest, index = np.divmod(rest, count[owner, axis])
            index += first[owner, axis]
            shift += index[:, None] * axes[owner, axis]
            weight *= (steps[owner, axis] - np.abs(index)) / steps[owner, axis] ** 2
        # Passes have few sizes, since what is decided of a call is remembered for each.
        spare = (1 << (len(owner) - 1).bit_length()) - len(owner)
        point = np.pad(self.pixel[part][owner], (0, spare), mode="edge")
        return Pass(self.pixel[part], number, point, np.pad(shift, ((0, spare), (0, 0))), np.pad(weight, (0, spare)))


@dataclass(eq=False)
class VaryinglyAntialiased(Call):
    """A call at given coordinates that reads footprints in the place of points, each of a form of its own.

    Attributes
    ----------
    footprints : tuple of Footprints
        One a map. They are constants: gradients do not see them change.
    """

    footprints: tuple[Footprints, ...]

    @property
    def copies(self) -> bool:
        """Whether values are copies of samples."""
        return False

    @property
    def most_positions(self) -> int:
        """The most positions that a pixel reads."""
        return max(int(footprints.positions.max(initial=1)) for footprints in self.footprints)

    def pull(self, image: Any, plan: Plan, dtype: Any, out: Any = None) -> Any:
        """Read a canonical image, (1 or N, any channels, *spatial), as the call reads its own."""
        xp, sums = namespace(image), self.backend.sum_dtype(image.dtype)
        plain = super().pull(image, plan, sums)
        entries = []
        for k, footprints in enumerate(self.footprints):
            values = self._of(plain, k)
            flat = values.reshape(*values.shape[:2], -1)
            mean = self._means(self._of(image, k), k, plan, sums)
            if xp is np:
                flat[..., footprints.pixel] = mean
            else:
                flat = flat.index_copy(-1, like(footprints.pixel, image), mean)
            entries.append(flat.reshape(values.shape))
        values = self.backend.cast(entries[0] if len(entries) == 1 else xp.concatenate(entries), dtype)
        if out is None:
            return values
        out[...] = values
        return out

    def vjp(self, image: Any, plan: Plan, grad: Any) -> tuple[Any, Any]:
        """Return the gradients of ``(grad * pull(image, plan)).sum()`` in the image and in the geometry."""
        flat = grad.reshape(*grad.shape[:2], -1)
        left = flat.copy()
        for k, footprints in enumerate(self.footprints):
            self._of(left, k)[..., footprints.pixel] = 0
        grad_image, grad_geometry = super().vjp(image, plan, left.reshape(grad.shape))
        for k, footprints in enumerate(self.footprints):
            own, on_image = self._of(image, k), self._of(grad_image, k)
            on_points = grad_geometry[k].reshape(-1, plan.ndim)
            for part in footprints.passes(self._size(own)):
                points, lattice = self._points(k, part)
                share = self._of(flat, k)[..., part.point] * part.weight.astype(grad.real.dtype)
                one, other = self.backend.vjp(own, points, share, lattice, plan)
                on_image += one
                on_points[part.pixel] += _sums(np.swapaxes(other[0], 0, 1), part).T
        return grad_image, grad_geometry

    def _of(self, batch: Any, k: int) -> Any:
        """Return the entries of a batch that map k is for."""
        return batch if len(batch) == 1 or len(self.footprints) == 1 else batch[k : k + 1]

    def _means(self, image: Any, k: int, plan: Plan, dtype: Any) -> Any:
        """Return the means over the footprints of map k, (1 or N, C, Q)."""
        xp, footprints = namespace(image), self.footprints[k]
        fill = fill_values(replace(self, recipe=replace(self.recipe, plan=plan)), dtype).reshape(-1, 1)
        sums = [like(np.zeros((len(image), image.shape[1], 0)), image, dtype)]
        for part in footprints.passes(self._size(image)):
            read = self.backend.pull(image, *self._points(k, part), plan, dtype)
            sums.append(_sums(read * like(part.weight, image, read.real.dtype), part))
        mean, unread = xp.concatenate(sums, -1), footprints.unread()
        # Where there is no share of it, `fill` may be infinite.
        return xp.where(like(unread > 0, image), mean + like(unread, image, mean.real.dtype) * fill, mean)

    def _points(self, k: int, part: Pass) -> tuple[Any, Lattice]:
        """Return the coordinates of a pass through map k, (1, n, d), and the lattice of them."""
        points = self.geometry[k].reshape(-1, self.plan.ndim)[like(part.point, self.geometry)]
        points = points + like(part.shift, points, points.dtype)
        return points[None], replace(self.lattice, shape=(len(part.point),))

    def _size(self, image: Any) -> int:
        """Return how many positions to read at once."""
        # The gradient of a pass goes through the whole image, so a pass of tensors should not read much less than that.
        least = math.prod(image.shape) if namespace(image) is not np else 0
        values: int = len(image) * image.shape[1]
        return max(_VALUES_A_PASS, least) // max(1, values) + 1


def _sums(values: Any, part: Pass) -> Any:
    """Add up the values of each pixel, (..., n) to (..., q)."""
    values = values[..., : part.positions.sum()]
    if namespace(values) is np:
        total: Any = np.add.reduceat(values, np.cumsum(part.positions) - part.positions, axis=-1)
        return total
    owner = np.repeat(np.arange(len(part.positions)), part.positions)
    return values.new_zeros((*values.shape[:-1], len(part.positions))).index_add(-1, like(owner, values), values)


def _triangle(n: Indices, m: Indices) -> Indices:
    """Return the sum of the first n of 1, 2, ..., m, m - 1, ..., 1."""
    rest = 2 * m - 1 - n
    return np.where(n <= m, n * (n + 1) // 2, m**2 - rest * (rest + 1) // 2)


def varyingly(call: Call, transform: Any, frame: str) -> Call:
    """Return a call that is not affine with a footprint for each pixel that shrinks; itself, where none does."""
    lattice, backend = call.lattice, call.backend
    transform, coordinates = backend.own_transform(transform, call.image), call.geometry
    if lattice.kind != LATTICES["given"]:
        coordinates = coordinates_through(backend, transform, lattice.shape, frame)
    points = np.asarray(detached(coordinates, call.function + NEEDS, INSTEAD), np.float64)
    points = np.where(np.abs(points) < _FARTHEST, points, np.nan)
    turned, scale = is_reversed(frame), np.asarray(lattice.frame_in.scale)
    points = scale * (points[..., ::-1] if turned else points)
    if lattice.kind in PROJECTIVE_LATTICES:
        jacobian = _slopes(call, transform.numpy(), frame, turned)
    else:
        jacobian = np.stack([_difference(points, axis) for axis in range(1, points.ndim - 1)], axis=-1)
    points = points + lattice.frame_in.offset
    footprints = tuple(
        _footprints(call, at.reshape(-1, call.plan.ndim), slopes.reshape(-1, *slopes.shape[-2:]), turned)
        for at, slopes in zip(points, jacobian, strict=True)
    )
    if not any(len(of_map.pixel) for of_map in footprints):
        return call
    sides, is_exact = tuple(call.image.shape[2:]), not lattice.whole
    given = lattice_of(LATTICES["given"], lattice.shape, frame, sides, is_computed=True, is_exact=is_exact)
    parts = {field.name: getattr(call, field.name) for field in fields(call)}
    parts |= {"geometry": coordinates, "recipe": replace(call.recipe, lattice=given)}
    return VaryinglyAntialiased(**parts, footprints=footprints)


def _difference(points: Array, axis: int) -> Array:
    """Return the derivative along an axis of the lattice: central differences, and those to one side at the ends."""
    if points.shape[axis] == 1:
        return np.zeros_like(points)
    difference: Array = np.gradient(points, axis=axis)
    return difference


def _slopes(call: Call, transform: Any, frame: str, turned: bool) -> Array:
    """Return the derivatives of a map between indices, (M, *shape, d, d), which no difference tells at a horizon."""
    lattice = call.lattice
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        jacobian = transform.jacobian(transform._lattice_points(lattice.shape, frame), frame=frame)
        jacobian = jacobian[..., ::-1, ::-1] if turned else jacobian
        slopes: Array = np.asarray(lattice.frame_in.scale)[:, None] * jacobian / lattice.frame_out.scale
    return slopes if transform.batch_shape else slopes[None]


def _footprints(call: Call, points: Array, jacobian: Array, turned: bool) -> Footprints:
    """Return the footprints of the points of one map, (P, d), in indices of the image, with its derivatives there."""
    with np.errstate(invalid="ignore"):
        # Of those with smaller squares, no singular value is above 1; squares of the largest numbers overflow.
        size = np.abs(jacobian).max((-2, -1), initial=0)
        pixel = np.flatnonzero(np.isfinite(points).all(-1) & (size > 1 / call.plan.ndim) & (size < 1e100))
    u, s, _ = np.linalg.svd(jacobian[pixel])
    shrinks = (s > 1 + _PRECISION).any(-1)
    pixel, u, s = pixel[shrinks], u[shrinks], s[shrinks]
    steps = _bounded(np.maximum(np.ceil(np.minimum(s, _MOST_POSITIONS) - _PRECISION), 1).astype(np.int64))
    step = np.sqrt(np.maximum(s - 1, 0)) * np.sqrt(s + 1) / np.sqrt(np.maximum(steps**2 - 1, 1))
    axes = np.swapaxes(u, -1, -2) * np.where(steps > 1, step, 0.0)[..., None]
    first, count = _within(call, points[pixel], axes, steps)
    seen = count.all(-1)
    pixel, axes, steps, first, count = (part[seen] for part in (pixel, axes, steps, first, count))
    scale = np.asarray(call.lattice.frame_in.scale)
    axes = np.divide(axes, scale, out=np.zeros_like(axes), where=scale != 0)
    return Footprints(pixel, axes[..., ::-1] if turned else axes, steps, first, count)


def _bounded(steps: Indices) -> Indices:
    """Bound the numbers of steps, (Q, d), so that no pixel has too many positions."""
    bound = steps.max(axis=-1, initial=1)
    while True:
        bounded: Indices = np.minimum(steps, bound[:, None])
        many = (2 * bounded - 1).prod(axis=-1) > _MOST_POSITIONS
        if not many.any():
            return bounded
        bound = np.where(many, bound * 7 // 8, bound)


def _within(call: Call, points: Array, axes: Array, steps: Indices) -> tuple[Indices, Indices]:
    """Return the first index along each axis, and the number of indices, (Q, d), of which a position may reach samples.

    Beyond an axis with a constant border there is nothing but `fill`, and beyond every axis of a cropped image.
    """
    first, last = 1.0 - steps, steps - 1.0
    extent = np.abs(axes) * (steps[..., None] - 1)
    for j, (code, border) in enumerate(zip(call.plan.interpolation, call.plan.border, strict=True)):
        if border != BORDERS["constant"] and not call.plan.crop:
            continue
        reach = KERNELS[code].taps / 2 + 1
        low, high = -reach - points[:, j], call.image.shape[2 + j] - 1 + reach - points[:, j]
        for i in range(axes.shape[1]):
            others = extent[:, :, j].sum(-1) - extent[:, i, j]
            along = axes[:, i, j]
            with np.errstate(divide="ignore", invalid="ignore"):
                ends = np.sort(np.stack([(low - others) / along, (high + others) / along]), axis=0)
            inside = (low <= others) & (high >= -others)
            ends[0] = np.where(along == 0, np.where(inside, -np.inf, np.inf), ends[0])
            ends[1] = np.where(along == 0, np.where(inside, np.inf, -np.inf), ends[1])
            first[:, i], last[:, i] = np.maximum(first[:, i], ends[0]), np.minimum(last[:, i], ends[1])
    first = np.ceil(first)
    count = np.maximum(np.floor(last) - first + 1, 0)
    return np.where(count > 0, first, 0).astype(np.int64), count.astype(np.int64)
