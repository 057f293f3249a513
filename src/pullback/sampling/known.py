"""Images of which not all is known: weighted means of the samples that are there.

With m(k) from 0, where a sample is missing, to 1, where it is known,

    value = sum_k w(x - k) m(k) f(k) / sum_k w(x - k) m(k),

a quotient of two pulls: of m f, and of m, which is the *coverage*. Beyond a constant border m is 0.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from pullback import _check
from pullback._arrays import is_masked, is_tensor, like, namespace
from pullback._dtypes import holds_nan
from pullback._kernels import KERNELS
from pullback._plan import AREA, INTERPOLATIONS, Plan
from pullback.backends import Backend
from pullback.sampling.call import Call

# Below this much coverage a point counts as not covered. Where no weight is negative, the mean stays between its
# samples however small the coverage is, and the bound is what positions are accurate to. Where some are, they may
# cancel: next to a missing sample, the mean of its neighbours grows like 1 / coverage, which this bound stops.
_LEAST_COVERAGE = 1e-4
_LEAST_COVERAGE_OF_SIGNED_WEIGHTS = 0.1


def has_signed_weights(plan: Plan) -> bool:
    """Whether a plan may give samples a negative weight."""
    return any(plan.prefilter) or not all(code == AREA or KERNELS[code].is_positive for code in plan.interpolation)


def least_coverage(plan: Plan) -> float:
    """Return the coverage that a point must exceed to get a value."""
    return _LEAST_COVERAGE_OF_SIGNED_WEIGHTS if has_signed_weights(plan) else _LEAST_COVERAGE


def covered(call: Call, coverage: Any) -> Any:
    """Return which points get a value; among them those that are not known, whose coverage is NaN."""
    return ~(coverage <= least_coverage(call.plan))


class Parts(NamedTuple):
    """What the two pulls of a mean read, m f and m, and their plan."""

    image: Any
    weight: Any
    plan: Plan


def known_of(call: Call, image: Any, mask: Any, weight: Any, side: str = "") -> Any:
    """Return how far samples are known, (1 or N, 1 or C, *spatial); None for a call that says nothing of it.

    Parameters
    ----------
    image : array_like or Tensor
        The caller's, which may be a masked array: one in which nothing is masked is an array like others.
    mask : array_like or Tensor of bool, "nan" or None
    weight : array_like or Tensor of real numbers, or None
    side : str
        What stands before their names in the caller's signature.

    Returns
    -------
    array or tensor
        Booleans, or real numbers from 0 to 1.
    """
    masked = is_masked(image) and bool(np.ma.getmaskarray(image).any())
    if mask is None and weight is None and not masked:
        return None
    _check.mixing(call.function, call.plan, "a weight" if mask is None and weight is not None else "a mask")
    known = None if weight is None else _weight(call, weight, f"{side}weight")
    present = [~_missing(call, mask, f"{side}mask")] if mask is not None else []
    if masked:
        present.append(~_missing(call, np.ma.getmaskarray(image), f"{side}mask"))
    for each in present:
        known = each if known is None else known * each
    return known


def _missing(call: Call, mask: Any, argument: str) -> Any:
    if isinstance(mask, str):
        _check.choice(call.function, argument, mask, ("nan",))
        return namespace(call.image).isnan(call.image)
    _check.unmasked(call.function, argument, mask)
    mask = like(mask, call.image)
    _check.mask(call.function, mask, argument)
    return _spread(call, argument, mask)


def _weight(call: Call, weight: Any, argument: str) -> Any:
    _check.unmasked(call.function, argument, weight)
    weight = like(weight, call.image)
    _check.weight(call.function, weight, argument)
    return _spread(call, argument, like(weight, call.image, real_dtype(call.backend, call.image)))


def _spread(call: Call, argument: str, array: Any) -> Any:
    """View an array of the image's shape, or of its spatial shape, canonically."""
    layout, spatial = call.recipe.layout, tuple(call.image.shape[2:])
    shape = layout.restored_shape(tuple(call.image.shape), layout.batch)
    what = "the target" if argument.startswith("target") else "the image"
    _check.beside(call.function, argument, tuple(array.shape), shape, spatial, what)
    array = array[None, None] if array.ndim < len(shape) else layout.canonical(array, layout.ndim, layout.batch)
    return namespace(array).broadcast_to(array, (*array.shape[:2], *spatial))


def parts_of(call: Call, weight: Any) -> Parts:
    """Return what the two pulls of a mean read, from how far samples are known."""
    image, xp, plan = call.image, namespace(call.image), replace(call.plan, fill=(0.0,))
    graded = weight.dtype != (np.bool_ if xp is np else xp.bool)
    if graded and not call.copies:
        dtype = call.backend.sum_dtype(image.dtype)
        image = xp.where(weight > 0, like(image, image, dtype) * weight, like(0, image, dtype))
    elif xp is not np or not weight.all():
        image = xp.where(weight > 0 if graded else weight, image, like(0, image, image.dtype))
    weight = like(weight, image, real_dtype(call.backend, call.image))
    if call.recipe.prefilters:
        image, weight = call.backend.prefilter(image, plan), call.backend.prefilter(weight, plan)
    return Parts(image, weight, plan)


def real_dtype(backend: Backend, image: Any) -> Any:
    """Return the dtype of weights: the one that samples are summed in, or that of its real part."""
    is_complex = image.is_complex() if is_tensor(image) else image.dtype.kind == "c"
    return image.real.dtype if is_complex else backend.sum_dtype(image.dtype)


def fill_values(call: Call, dtype: Any) -> Any:
    """Return the fill of a call for canonical values, (1 or C, *ones)."""
    return like(call.plan.fill, call.image, dtype).reshape(-1, *(1,) * len(call.lattice.shape))


def quotient(numerator: Any, coverage: Any, is_covered: Any) -> Any:
    """Return numerator / coverage, and 0 where a point is not covered, with derivatives of 0 there."""
    xp = namespace(numerator)
    return xp.where(is_covered, numerator, 0) / xp.where(is_covered, coverage, 1)


def mean_values(call: Call, known: Any, dtype: Any) -> tuple[Any, Any]:
    """Return the canonical values, of `dtype`, and the coverage, which channels and batch may share."""
    backend, xp, parts = call.backend, namespace(call.image), parts_of(call, known)
    coverage = call.pull(parts.weight, parts.plan, parts.weight.dtype)
    is_covered = covered(call, coverage)
    if not holds_nan(dtype):
        is_covered = is_covered & ~xp.isnan(coverage)
    fill = fill_values(call, backend.sum_dtype(call.image.dtype))
    if call.copies:
        read = call.pull(parts.image, parts.plan, dtype)
        return xp.where(is_covered, read, backend.cast(fill, dtype)), coverage
    values = quotient(call.pull(parts.image, parts.plan, fill.dtype), coverage, is_covered)
    return backend.cast(xp.where(is_covered, values, fill), dtype), coverage


def coverage_of(call: Call) -> Any:
    """Return the coverage of an image all of whose samples are known, (1 or N, 1, *lattice)."""
    dtype = real_dtype(call.backend, call.image)
    # Labels are chosen among, in a dtype of theirs: a sample, or what is beyond the border.
    is_chosen = INTERPOLATIONS["label"] in call.plan.interpolation
    one = like(1, call.image, call.image.dtype if is_chosen else dtype)
    weight = namespace(one).broadcast_to(one, (1, 1, *call.image.shape[2:]))
    plan = replace(call.plan, fill=(0.0,))
    if call.recipe.prefilters:
        weight = call.backend.prefilter(weight, plan)
    return like(call.pull(weight, plan, one.dtype), call.image, dtype)


def mean_gradient(call: Call, known: Any) -> tuple[Any, Any]:
    """Return d value / d coordinate of the mean, (numerator' - value coverage') / coverage, and where there is one."""
    parts, sums = parts_of(call, known), call.backend.sum_dtype(call.image.dtype)
    coverage = call.pull(parts.weight, parts.plan, parts.weight.dtype)
    is_covered = covered(call, coverage)
    values = quotient(call.pull(parts.image, parts.plan, sums), coverage, is_covered)
    slopes = call.backend.gradient(parts.image, call.geometry, call.lattice, parts.plan)
    drift = call.backend.gradient(parts.weight, call.geometry, call.lattice, parts.plan)
    is_covered, coverage = is_covered[..., None], coverage[..., None]
    return quotient(slopes - values[..., None] * drift, coverage, is_covered), is_covered


def mean_vjp(call: Call, known: Any, grad: Any) -> tuple[Any, Any]:
    """Return the gradients of ``(grad * value).sum()`` in m f, before the prefilter, and in the geometry."""
    parts = parts_of(call, known)
    coverage = call.pull(parts.weight, parts.plan, parts.weight.dtype)
    is_covered = covered(call, coverage)
    values = quotient(call.pull(parts.image, parts.plan, grad.dtype), coverage, is_covered)
    share = quotient(grad, coverage, is_covered)
    grad_image, grad_geometry = call.vjp(parts.image, parts.plan, share)
    grad_coverage = _sum_to(-(np.conj(share) * values).real, coverage.shape)
    return grad_image, grad_geometry + call.vjp(parts.weight, parts.plan, grad_coverage)[1]


def _sum_to(array: Any, shape: tuple[int, ...]) -> Any:
    """Sum over the axes that `shape` shares."""
    shared = tuple(axis for axis, n in enumerate(shape) if n == 1 != array.shape[axis])
    return array.sum(axis=shared, keepdims=True)
