"""Antialiasing: a pixel of the output is the mean of the image over the pixel's footprint in it.

Where an affine map with the linear part J = U S V^T shrinks the image, a kernel of unit width around a position in the
input covers too little of it. The footprint of an output pixel is an ellipse with the axes u_i, s_i long, and the
kernel should be as wide. The linear kernel, a tent, has the variance 1 / 6; stretched by s, s^2 / 6. What is missing
comes from 2 m - 1 sub-samples along u_i with the weights of a tent,

    (m - |k|) / m^2 at the shifts h k, |k| < m, of variance h^2 (m^2 - 1) / 6, so h^2 = (s^2 - 1) / (m^2 - 1).

m = ceil(s) is the least number for which no step is longer than a sample. Where s is a whole number, h = 1, and both
kernels together are exactly the stretched tent. With the shifts and the weights of all axes multiplied out,

    value = sum_j weight_j pull(image, A p + t + shift_j).

Where the map is not affine, each pixel has a Jacobian of its own (:mod:`pullback.warping.varying`).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from pullback import _check
from pullback._arrays import detached, like, namespace
from pullback._plan import LATTICES, Plan
from pullback.sampling.call import Call
from pullback.warping.varying import INSTEAD, NEEDS, varyingly

Array = npt.NDArray[np.float64]

# Matrices in single precision are off by less: what is closer to a whole number is that number.
_PRECISION = 1e-6
# More sub-samples than this a pixel, and the steps grow longer than a sample: a shrink by 128 on two axes needs 255^2.
_MOST_SUBSAMPLES = 2**16
# How many values are read at once: few enough to stay in the cache, enough to outweigh a call.
_VALUES_A_PASS = 2**16


@dataclass(frozen=True)
class Footprint:
    """Where a pixel's footprint is sampled.

    Attributes
    ----------
    shift : ndarray, (K, d)
        Steps from the middle, in samples of the input.
    weight : ndarray, (K,)
        Adds up to 1.
    """

    shift: Array
    weight: Array


def footprint_of(jacobian: Array) -> Footprint:
    """Return the footprint of the linear part of a map between indices, (d, d); of finite numbers or not."""
    d = len(jacobian)
    point = Footprint(np.zeros((1, d)), np.ones(1))
    if not np.isfinite(jacobian).all():
        return point
    u, s, _ = np.linalg.svd(jacobian)
    if not np.isfinite(s).all():
        return point
    steps = np.array(_bounded(np.maximum(np.ceil(s - _PRECISION), 1)))
    step = np.sqrt(np.maximum(s - 1, 0)) * np.sqrt(s + 1) / np.sqrt(np.maximum(steps**2 - 1, 1))
    index = np.stack(np.meshgrid(*(np.arange(1 - m, m) for m in steps), indexing="ij"), axis=-1).reshape(-1, d)
    return Footprint(np.where(steps > 1, index * step, 0.0) @ u.T, np.prod((steps - np.abs(index)) / steps**2, axis=-1))


def _bounded(steps: Array, most: int = _MOST_SUBSAMPLES) -> list[int]:
    """Bound the numbers of steps on the axes so that there are not more than `most` sub-samples."""
    bound = most
    while True:
        bounded = [int(min(m, bound)) for m in steps]
        if math.prod(2 * m - 1 for m in bounded) <= most:
            return bounded
        bound = bound * 7 // 8


@dataclass(eq=False)
class Antialiased(Call):
    """A call through affine maps that reads footprints in the place of points.

    Attributes
    ----------
    footprints : tuple of Footprint
        One a matrix. They are constants: gradients do not see them change with the matrix.
    """

    footprints: tuple[Footprint, ...]

    @property
    def copies(self) -> bool:
        """Whether values are copies of samples."""
        return False

    def pull(self, image: Any, plan: Plan, dtype: Any, out: Any = None) -> Any:
        """Read a canonical image, (1 or N, any channels, *spatial), as the call reads its own."""
        images, count = _entries(image), len(image) if len(self.geometry) == 1 else len(self.geometry)
        shrinks = [len(footprint.weight) > 1 for footprint in self.footprints]
        # What does not shrink is read as if all were: a batch may take another path through the kernels than its parts.
        plain = [] if all(shrinks) else _entries(super().pull(image, plan, dtype))
        entries = []
        for b in range(count):
            i, k = b % len(images), b % len(self.footprints)
            if shrinks[k]:
                entries.append(self.backend.cast(self._mean(images[i], k, plan), dtype))
            else:
                entries.append(plain[b])
        values = entries[0] if count == 1 else namespace(image).concatenate(entries)
        if out is None:
            return values
        out[...] = values
        return out

    def vjp(self, image: Any, plan: Plan, grad: Any) -> tuple[Any, Any]:
        """Return the gradients of ``(grad * pull(image, plan)).sum()`` in the image and in the geometry."""
        images = _entries(image)
        grad_image = np.zeros(image.shape, grad.dtype)
        grad_geometry = np.zeros_like(self.geometry)
        for b in range(len(grad)):
            i, k = b % len(images), b % len(self.footprints)
            for matrices, weight in self._passes(k, grad[b].size, images[i].size):
                parts = grad[b] * weight.astype(grad.real.dtype).reshape(-1, *(1,) * grad[b].ndim)
                on_image, on_matrices = self.backend.vjp(images[i], matrices, parts, self.lattice, plan)
                grad_image[i] += on_image[0]
                grad_geometry[k] += on_matrices.sum(axis=0)
        return grad_image, grad_geometry

    def _mean(self, image: Any, k: int, plan: Plan) -> Any:
        """Return the mean of one image, (1, C, *spatial), over the footprints of map k, in the dtype of sums."""
        backend = self.backend
        dtype, is_tensor = backend.sum_dtype(image.dtype), namespace(image) is not np
        # The gradient of a pass goes through the whole image, so a pass of tensors should not read much less than that.
        least = math.prod(image.shape) if is_tensor else 0
        total = buffer = None
        for matrices, weight in self._passes(k, image.shape[1] * math.prod(self.lattice.shape), least):
            factor = like(weight, image).reshape(-1, *(1,) * (1 + len(self.lattice.shape)))
            if is_tensor:
                parts = backend.pull(image, matrices, self.lattice, plan, dtype) * factor.to(dtype)
            else:
                if buffer is None:
                    buffer = backend.pull(image, matrices, self.lattice, plan, dtype)
                else:
                    backend.pull(image, matrices, self.lattice, plan, dtype, out=buffer[: len(matrices)])
                parts = np.multiply(buffer[: len(matrices)], factor.astype(dtype), out=buffer[: len(matrices)])
            part = parts.sum(0, keepdims=True)
            total = part if total is None else total + part
        return total

    def _passes(self, k: int, values: int, least: int) -> Iterator[tuple[Any, Array]]:
        """Yield the matrices of the sub-samples of map k, some at a time, with their weights.

        Parameters
        ----------
        values : int
            How many values one matrix reads.
        least : int
            How many values a pass should read at least, where there are as many.
        """
        footprint, scale = self.footprints[k], np.asarray(self.lattice.frame_in.scale)
        shift = np.divide(footprint.shift, scale, out=np.zeros_like(footprint.shift), where=scale != 0)
        shift = shift[..., ::-1] if self.lattice.reversed else shift
        moves = np.concatenate([np.zeros((*shift.shape, shift.shape[1])), shift[..., None]], axis=-1)
        matrix, size = self.geometry[k : k + 1], max(1, max(_VALUES_A_PASS, least) // max(1, values))
        for start in range(0, len(moves), size):
            part = slice(start, start + size)
            yield matrix + like(moves[part], matrix, matrix.dtype), footprint.weight[part]


def antialiased(call: Call, transform: Any, frame: str) -> Call:
    """Return `call`, through `transform` in a frame, with the footprints of its pixels; itself, where none shrinks."""
    _check.mixing(call.function, call.plan, "`antialias`")
    if 0 in call.recipe.shape:
        return call
    if call.lattice.kind != LATTICES["affine"]:
        return varyingly(call, transform, frame)
    matrix = call.geometry
    matrix = np.asarray(detached(matrix, call.function + NEEDS, INSTEAD), np.float64)
    scale_in, scale_out = np.asarray(call.lattice.frame_in.scale), np.asarray(call.lattice.frame_out.scale)
    linear = matrix[..., ::-1, -2::-1] if call.lattice.reversed else matrix[..., :-1]
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        jacobians = scale_in[:, None] * linear / scale_out
    footprints = tuple(map(footprint_of, jacobians))
    if all(len(footprint.weight) == 1 for footprint in footprints):
        return call
    return Antialiased(**_fields(call), footprints=footprints)


def _fields(call: Call) -> dict[str, Any]:
    return {field.name: getattr(call, field.name) for field in fields(call)}


def _entries(batch: Any) -> Any:
    """Return the entries of a batch, as batches of one."""
    return batch.split(1) if hasattr(batch, "split") else [batch[b : b + 1] for b in range(len(batch))]
