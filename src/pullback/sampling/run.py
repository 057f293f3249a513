"""Images with missing samples: the weighted mean of the samples that are there.

With m(k) = 1 where a sample is there and 0 where it is missing, beyond a constant border too,

    value = sum_k w(x - k) m(k) f(k) / sum_k w(x - k) m(k),

a quotient of two pulls: of the image with 0 in the place of what is missing, and of m, which is the *coverage*.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from pullback import _check
from pullback._arrays import is_masked, is_tensor, like, namespace, spread
from pullback._kernels import KERNELS
from pullback._plan import Plan
from pullback.backends import Backend
from pullback.sampling.call import Call

# Below this much coverage a point counts as not covered. Where no weight is negative, the mean stays between its
# samples however small the coverage is, and the bound is what positions are accurate to. Where some are, they may
# cancel: next to a missing sample, the mean of its neighbours grows like 1 / coverage, which this bound stops.
_LEAST_COVERAGE = 1e-4
_LEAST_COVERAGE_OF_SIGNED_WEIGHTS = 0.1


def has_signed_weights(plan: Plan) -> bool:
    """Whether a plan may give samples a negative weight."""
    return any(plan.prefilter) or not all(KERNELS[code].is_positive for code in plan.interpolation)


def least_coverage(plan: Plan) -> float:
    """Return the coverage that a point must exceed to get a value."""
    return _LEAST_COVERAGE_OF_SIGNED_WEIGHTS if has_signed_weights(plan) else _LEAST_COVERAGE


def missing_samples(call: Call, image: Any, mask: Any) -> Any:
    """Return where samples are missing, as booleans (1 or N, 1 or C, *spatial); None for a call without a mask.

    Parameters
    ----------
    image : array_like or Tensor
        The caller's, which may be a masked array.
    mask : array_like or Tensor of bool, "nan" or None
    """
    if mask is None:
        if not is_masked(image):
            return None
        mask = np.ma.getmaskarray(image)
    _check.mixing(call.function, call.plan, "a mask")
    if isinstance(mask, str):
        _check.choice(call.function, "mask", mask, ("nan",))
        return namespace(call.image).isnan(call.image)
    layout, spatial = call.recipe.layout, tuple(call.image.shape[2:])
    missing = like(mask, call.image)
    shape = layout.restored_shape(tuple(call.image.shape), layout.batch)
    _check.mask(call.function, missing, shape, spatial)
    is_shared = missing.ndim < len(shape)
    missing = missing[None, None] if is_shared else layout.canonical(missing, layout.ndim, layout.batch)
    return namespace(missing).broadcast_to(missing, (*missing.shape[:2], *spatial))


def known_samples(call: Call, missing: Any) -> tuple[Any, Any, Plan]:
    """Return what the two pulls read: the image without what is missing, and m; and the plan, whose fill is 0."""
    plan = replace(call.plan, fill=(0.0,))
    image, xp = call.image, namespace(call.image)
    if xp is not np or missing.any():
        image = xp.where(missing, like(0, image, image.dtype), image)
    known = like(~missing, image, real_dtype(call.backend, call.image))
    if any(plan.prefilter):
        image, known = call.backend.prefilter(image, plan), call.backend.prefilter(known, plan)
    return image, known, plan


def real_dtype(backend: Backend, image: Any) -> Any:
    """Return the dtype of weights: the one that samples are summed in, or that of its real part."""
    dtype = backend.sum_dtype(image.dtype)
    return dtype.to_real() if is_tensor(image) else np.zeros(0, dtype).real.dtype


def fill_values(call: Call, dtype: Any) -> Any:
    """Return the fill of a call for canonical values, (1 or C, *ones)."""
    return like(call.plan.fill, call.image, dtype).reshape(-1, *(1,) * len(call.lattice.shape))


def quotient(numerator: Any, coverage: Any, is_covered: Any) -> Any:
    """Return numerator / coverage, and 0 where a point is not covered, with derivatives of 0 there."""
    xp = namespace(numerator)
    return xp.where(is_covered, numerator, 0) / xp.where(is_covered, coverage, 1)


def masked_values(call: Call, missing: Any, dtype: Any) -> tuple[Any, Any]:
    """Return the canonical values, of `dtype`, and the coverage, which channels and batch may share."""
    backend, xp = call.backend, namespace(call.image)
    image, known, plan = known_samples(call, missing)
    coverage = call.pull(known, plan, known.dtype)
    is_covered = coverage > least_coverage(plan)
    fill = fill_values(call, backend.sum_dtype(call.image.dtype))
    if call.copies:
        return xp.where(is_covered, call.pull(image, plan, dtype), backend.cast(fill, dtype)), coverage
    values = quotient(call.pull(image, plan, fill.dtype), coverage, is_covered)
    return backend.cast(xp.where(is_covered, values, fill), dtype), coverage


def masked_gradient(call: Call, missing: Any) -> Any:
    """Return d value / d coordinate of the mean: (numerator' - value coverage') / coverage."""
    image, known, plan = known_samples(call, missing)
    coverage = call.pull(known, plan, known.dtype)
    is_covered = coverage > least_coverage(plan)
    values = quotient(call.pull(image, plan, call.backend.sum_dtype(image.dtype)), coverage, is_covered)
    slopes = call.backend.gradient(image, call.geometry, call.lattice, plan)
    drift = call.backend.gradient(known, call.geometry, call.lattice, plan)
    return quotient(slopes - values[..., None] * drift, coverage[..., None], is_covered[..., None])


def masked_vjp(call: Call, missing: Any, grad: Any) -> tuple[Any, Any]:
    """Return the gradients of ``(grad * value).sum()`` in the samples, before the prefilter, and in the geometry."""
    image, known, plan = known_samples(call, missing)
    coverage = call.pull(known, plan, known.dtype)
    is_covered = coverage > least_coverage(plan)
    values = quotient(call.pull(image, plan, grad.dtype), coverage, is_covered)
    share = quotient(grad, coverage, is_covered)
    grad_image, grad_geometry = call.vjp(image, plan, share)
    grad_coverage = sum_to(-(np.conj(share) * values).real, coverage.shape)
    return grad_image, grad_geometry + call.vjp(known, plan, grad_coverage)[1]


def sum_to(array: Any, shape: tuple[int, ...]) -> Any:
    """Sum over the axes that `shape` shares."""
    shared = tuple(axis for axis, n in enumerate(shape) if n == 1 != array.shape[axis])
    return array.sum(axis=shared, keepdims=True)


def values_of(call: Call, missing: Any, return_weight: bool, dtype: Any, out: Any) -> Any:
    """Run a call of :func:`sample` or :func:`pullback.warp`; `missing` is None or canonical."""
    return_weight = _check.weight_of_what(call.function, return_weight, masked=missing is not None)
    dtype = call.image.dtype if dtype is None and out is None else _result_dtype(call, dtype, out)
    if missing is not None:
        values, coverage = masked_values(call, missing, dtype)
        if out is not None:
            call.canonical(out)[...] = values
        result = call.restore(values) if out is None else out
        return (result, call.restore(spread(coverage, values.shape))) if return_weight else result
    if out is None:
        return call.restore(call.pull(call.samples(), call.recipe.plan, dtype))
    call.pull(call.samples(), call.recipe.plan, dtype, out=call.canonical(out))
    return out


def _result_dtype(call: Call, dtype: Any, out: Any) -> Any:
    """Return the dtype of the result, once `dtype` and `out` are known to fit the call."""
    backend = call.backend
    wanted = backend.as_dtype(call.function, dtype, call.image)
    if out is not None:
        backend.check_out(call.function, out)
        _check.out(call.function, out, call.recipe.restored_shape, None if dtype is None else wanted)
        wanted = out.dtype
    _check.result_dtype(call.function, "dtype" if out is None else "out", wanted, call.image.dtype, call.plan)
    return wanted


def vjp_of(call: Call, grad: Any, missing: Any) -> tuple[Any, Any]:
    """Run a call of :func:`sample_vjp` or :func:`pullback.warp_vjp`; the geometry's gradient stays canonical."""
    _check.mixing(call.function, call.plan, "a gradient")
    grad = call.backend.as_cotangent(call.function, grad, call.image)
    _check.cotangent(call.function, tuple(grad.shape), call.recipe.restored_shape)
    grad = call.canonical(grad)
    if missing is None:
        grad_image, grad_geometry = call.vjp(call.samples(), call.plan, grad)
    else:
        grad_image, grad_geometry = masked_vjp(call, missing, grad)
    if call.recipe.prefilters:
        grad_image = call.backend.prefilter(grad_image, call.plan, adjoint=True)
    if missing is not None:
        grad_image = namespace(grad_image).where(missing, 0, grad_image)
    return call.restore_image(grad_image), grad_geometry
