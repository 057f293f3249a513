"""How a call is carried out: plainly, or as a mean of the samples that are known."""

from __future__ import annotations

from typing import Any

import numpy as np

from pullback import _check
from pullback._arrays import can_be_looked_at, is_masked, namespace, spread
from pullback._dtypes import holds_nan
from pullback.sampling.call import Call
from pullback.sampling.known import coverage_of, covered, known_of, mean_gradient, mean_values, mean_vjp


def values_of(call: Call, image: Any, mask: Any, weight: Any, return_weight: Any, dtype: Any, out: Any) -> Any:
    """Run a call of :func:`sample` or :func:`pullback.warp` on the caller's `image`."""
    known = known_of(call, image, mask, weight)
    returns_weight = return_weight is not False and _check.flag(call.function, "return_weight", return_weight)
    dtype = call.image.dtype if dtype is None and out is None else _result_dtype(call, dtype, out)
    watched = call.recipe.lattice.is_computed and _watched(call, dtype)
    if known is None:
        if out is not None:
            call = call.apart_from(out)
        values = call.pull(call.samples(), call.recipe.plan, dtype, None if out is None else call.canonical(out))
        if watched:
            _refuse_unknown(call, dtype)
        result = call.restore(values) if out is None else out
        result = np.ma.MaskedArray(result) if is_masked(image) else result
        return (result, _restored_weight(call, coverage_of(call))) if returns_weight else result
    values, coverage = mean_values(call, known, dtype)
    if watched:
        _refuse_unknown(call, dtype)
    if out is not None:
        call.canonical(out)[...] = values
    result = call.restore(values) if out is None else out
    if is_masked(image):
        result = np.ma.MaskedArray(result, ~_restored_weight(call, covered(call, coverage)))
    return (result, _restored_weight(call, coverage)) if returns_weight else result


def _watched(call: Call, dtype: Any) -> bool:
    """Say whether a result cannot show that parameters are not finite; forget what was seen in other calls."""
    if holds_nan(dtype) or not (can_be_looked_at(call.image) and can_be_looked_at(call.geometry)):
        return False
    call.backend.saw_unknown()
    return True


def _refuse_unknown(call: Call, dtype: Any) -> None:
    if call.backend.saw_unknown():
        raise ValueError(
            f"{call.function}: `transform` has parameters that are not finite, and a result of dtype {dtype} cannot be "
            "NaN; give finite ones, or ask for a floating-point `dtype`"
        )


def _restored_weight(call: Call, weight: Any) -> Any:
    """View what channels and batch may share as the caller expects the values."""
    return call.restore(spread(weight, call.recipe.shape))


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


def gradient_of(call: Call, image: Any, mask: Any, weight: Any) -> Any:
    """Run a call of :func:`gradient` on the caller's `image`."""
    _check.mixing(call.function, call.plan, "a slope")
    known = known_of(call, image, mask, weight)
    if known is None:
        slopes, hidden = call.backend.gradient(call.samples(), call.geometry, call.lattice, call.plan), False
    else:
        slopes, is_covered = mean_gradient(call, known)
        hidden = ~spread(is_covered, slopes.shape) if is_masked(image) else False
    if is_masked(image):
        return np.ma.MaskedArray(call.restore(slopes), hidden if hidden is False else call.restore(hidden))
    return call.restore(slopes)


def vjp_of(call: Call, image: Any, mask: Any, weight: Any, grad: Any) -> tuple[Any, Any]:
    """Run a call of :func:`sample_vjp` or :func:`pullback.warp_vjp`; the geometry's gradient stays canonical."""
    _check.mixing(call.function, call.plan, "a gradient")
    known = known_of(call, image, mask, weight)
    grad = call.backend.as_cotangent(call.function, grad, call.image)
    _check.cotangent(call.function, tuple(grad.shape), call.recipe.restored_shape)
    grad = call.canonical(grad)
    if known is None:
        grad_image, grad_geometry = call.vjp(call.samples(), call.plan, grad)
    else:
        grad_image, grad_geometry = mean_vjp(call, known, grad)
    if call.recipe.prefilters:
        grad_image = call.backend.prefilter(grad_image, call.plan, adjoint=True)
    if known is not None:
        grad_image = namespace(grad_image).where(known > 0, grad_image * known, 0)
    return call.restore_image(grad_image), grad_geometry
