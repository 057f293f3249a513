"""What a call gives by the definitions: :mod:`pullback._reference` and the formulas of the manual, in double precision.

Nothing can be said of a point where the last digits of its position decide: half-way between two samples that it is
nearest to, on the edge of a cropped image, and, of slopes, on a sample. Such points are left out; sums over points are
compared where there are none.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from pullback import _reference
from pullback._plan import AREA, INTERPOLATIONS, LATTICES
from pullback.sampling.call import call_at, reading_of
from pullback.sampling.known import known_of, least_coverage
from pullback.sampling.resizing import call_to
from pullback.sampling.splatting import _scatter
from pullback.warping.footprint import antialiased
from pullback.warping.through import call_through, cotangent_lattice

NEAREST, LINEAR, LABEL = (INTERPOLATIONS[name] for name in ("nearest", "linear", "label"))
# Beyond, nothing is compared: the reference is slow.
_MOST_VALUES, _MOST_SAMPLES = 4000, 40000
_FAR = 2.0**31


@dataclass
class Truth:
    """A result as it should be.

    Attributes
    ----------
    values : ndarray
    is_sure : ndarray of bool or True
        Where something can be said.
    accuracy : float or ndarray
        Relative to the largest sample, beyond what the dtype of the result can hold.
    """

    values: np.ndarray
    is_sure: Any = True
    accuracy: Any = 1e-9


class Unknown(Exception):
    """Nothing can be said of a call."""


def truth_of(call: Any, arrays: dict[str, Any]) -> list[Truth]:
    """Return what each result of a call should be; nothing where that cannot be told."""
    if any(getattr(array, "size", 0) > _MOST_SAMPLES for array in arrays.values()):
        return []
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            return _TRUTHS[call.function](call, arrays) if call.function in _TRUTHS else []
        except Unknown:
            return []


def _wide(array: Any) -> Any:
    array = np.asarray(array)
    return array.astype(np.complex128 if array.dtype.kind == "c" else np.float64)


def _made(call: Any, arrays: dict[str, Any]) -> Any:
    options = {"fill": 0, **call.options}
    reading = reading_of(
        *(options[name] for name in ("interpolation", "border", "fill", "extent", "channel_axis", "frame"))
    )
    if "coords" in arrays:
        return call_at(call.function, arrays["image"], arrays["coords"], reading)
    image, transform, shape = arrays["image"], arrays["transform"], options.get("shape")
    size = np.abs(transform.parameters)
    if (
        not np.isfinite(size).all() or ((size > 0) & (size < 1e-30)).any()
    ):  # of which the inverse is infinite in float32
        raise Unknown
    if "grad" in arrays:
        shape = cotangent_lattice(call.function, arrays["grad"].shape, image.ndim, transform, options["channel_axis"])
    made = call_through(call.function, image, transform, shape, reading)
    if options.get("antialias") and antialiased(made, transform, options["frame"]) is not made:
        raise Unknown
    return made


class Reads:
    """How a call reads, by the reference."""

    def __init__(self, call: Any, made: Any, image: Any) -> None:
        if np.prod(made.recipe.shape) > _MOST_VALUES:
            raise Unknown
        self.made, self.plan, self.lattice = made, made.plan, made.lattice
        self.geometry = made.geometry
        self.x = _reference.coordinates(np.asarray(self.geometry, np.float64), self.lattice)
        is_given = self.lattice.kind == LATTICES["given"] and "coords" in call.arrays
        in_double = made.backend.sum_dtype(made.image.dtype) in (np.float64, np.complex128)
        is_exact = is_given and made.lattice.frame == "index"
        # How far positions may be off: by the contract, or by roundings.
        self.off = 1e-7 if in_double or is_exact else 3e-4
        self.accuracy = 1e-9 if in_double else 3e-5 if is_exact else 2e-3
        size = np.abs(self.x)
        self.is_sure = ~(np.isfinite(size) & (size > (1e6 if in_double or is_exact else 1e4)) & (size < _FAR)).any(-1)
        sides = np.array(image.shape[2:])
        if made.plan.crop:
            self.is_sure &= (np.abs(self.x) > self.off).all(-1) & (np.abs(self.x - (sides - 1)) > self.off).all(-1)
        for axis, code in enumerate(made.plan.interpolation):
            near_half = np.abs(self.x[..., axis] % 1 - 0.5) < self.off
            self.is_sure &= ~(near_half & (code in (NEAREST, LABEL)))
        whole = np.abs(self.x - np.round(self.x)) < self.off
        if LABEL in made.plan.interpolation:
            # Of weights that are equal, the smallest label: where two fractions, or one and its complement, are alike.
            f = np.abs(self.x % 1 - 0.5)
            self.is_sure &= ~whole.any(-1)
            for i in range(f.shape[-1]):
                for j in range(i):
                    self.is_sure &= np.abs(f[..., i] - f[..., j]) > self.off
            if f.shape[-1] == 3:
                raise Unknown
        if not np.isfinite(image).all() or not np.isfinite(self.plan.fill).all():
            # There the weight of a sample that is not finite is zero, or nearly so.
            self.is_sure &= ~whole.any(-1) & (np.abs(self.x % 1 - 0.5) > self.off).all(-1)
        self.is_smooth = self.is_sure.copy()
        for axis, code in enumerate(made.plan.interpolation):
            self.is_smooth &= ~(whole[..., axis] & (code in (LINEAR, AREA)))

    def on_values(self, is_sure: Any) -> Any:
        """Spread what is known of points, (M, *lattice), over values, (B, C, *lattice)."""
        return np.broadcast_to(is_sure[:, None], self.made.recipe.shape)

    def prefilter(self, image: Any, plan: Any) -> Any:
        if not any(plan.prefilter) or 0 in image.shape:
            return image
        return _reference.prefilter(image, plan)

    def pull(self, image: Any, plan: Any) -> Any:
        return _reference.pull(image, self.geometry, self.lattice, plan)

    def gradient(self, image: Any, plan: Any) -> Any:
        return _reference.gradient(image, self.geometry, self.lattice, plan)


class Mean(Reads):
    """How a call reads images of which not all is known."""

    def __init__(self, call: Any, made: Any, image: Any, known: Any) -> None:
        super().__init__(call, made, image)
        self.known = known
        self.plan = replace(made.plan, fill=(0.0,))
        weight = _wide(known)
        self.image = np.where(weight > 0, image if made.copies else image * weight, 0)
        self.image, self.weight = self.prefilter(self.image, self.plan), self.prefilter(weight, self.plan)
        self.coverage = self.pull(self.weight, self.plan)
        least = least_coverage(made.plan)
        self.is_covered = self.coverage > least
        self.is_sure = self.is_sure[:, None] & (np.abs(self.coverage - least) > 0.1 * least)
        self.is_smooth = self.is_smooth[:, None] & self.is_sure
        self.values = self.pull(self.image, self.plan)
        if not made.copies:
            self.values = np.where(self.is_covered, self.values / np.where(self.is_covered, self.coverage, 1), 0)
        self.error = 10 * self.accuracy / np.where(self.is_covered, np.minimum(self.coverage, 1), 1) ** 2

    def on_values(self, is_sure: Any) -> Any:
        return np.broadcast_to(is_sure, self.made.recipe.shape)


def _fill(made: Any) -> Any:
    return np.asarray(made.plan.fill).reshape(-1, *(1,) * len(made.lattice.shape))


def _known(call: Any, made: Any, arrays: dict[str, Any]) -> Any:
    return known_of(made, arrays["image"], arrays.get("mask"), arrays.get("weight"))


def _values(call: Any, arrays: dict[str, Any]) -> list[Truth]:
    made = _made(call, arrays)
    image = made.image if made.copies and LABEL in made.plan.interpolation else _wide(made.image)
    known = _known(call, made, arrays)
    shape = made.recipe.shape
    if known is None:
        reads = Reads(call, made, image)
        values = reads.pull(reads.prefilter(image, made.plan), made.plan)
        sure = made.restore(reads.on_values(reads.is_sure))
        truths = [Truth(made.restore(values), sure, reads.accuracy)]
        if call.options.get("return_weight"):
            ones = np.ones((1, 1, *image.shape[2:]))
            plan = replace(made.plan, fill=(0.0,))
            coverage = np.broadcast_to(reads.pull(reads.prefilter(ones, plan), plan), shape)
            truths.append(Truth(made.restore(coverage), sure, reads.accuracy))
        return truths
    mean = Mean(call, made, image, known)
    values = np.broadcast_to(np.where(mean.is_covered, mean.values, _fill(made)), shape)
    sure = made.restore(mean.on_values(mean.is_sure))
    error = made.restore(np.broadcast_to(mean.error, shape))
    truths = [Truth(made.restore(values), sure, error)]
    if call.options.get("return_weight"):
        coverage = np.broadcast_to(mean.coverage, shape)
        truths.append(Truth(made.restore(coverage), made.restore(mean.on_values(mean.is_sure)), 10 * mean.accuracy))
    return truths


def _gradient(call: Any, arrays: dict[str, Any]) -> list[Truth]:
    made = _made(call, arrays)
    image, known = _wide(made.image), _known(call, made, arrays)
    unit = max(1.0, *map(abs, made.lattice.frame_in.scale))
    if known is None:
        reads = Reads(call, made, image)
        slopes = reads.gradient(reads.prefilter(image, made.plan), made.plan)
        sure, error = reads.on_values(reads.is_smooth), 10 * unit * reads.accuracy
    else:
        mean = reads = Mean(call, made, image, known)
        slopes, drift = mean.gradient(mean.image, mean.plan), mean.gradient(mean.weight, mean.plan)
        slopes = (slopes - mean.values[..., None] * drift) / np.where(mean.is_covered, mean.coverage, 1)[..., None]
        slopes = np.where(mean.is_covered[..., None], slopes, 0)
        sure = mean.on_values(mean.is_smooth)
        error = 100 * unit * np.broadcast_to(mean.error, made.recipe.shape)[..., None]
        error = made.restore(np.broadcast_to(error, slopes.shape))
    sure = np.broadcast_to(sure[..., None], slopes.shape)
    return [Truth(made.restore(slopes), made.restore(sure), error)]


def _vjp(call: Any, arrays: dict[str, Any]) -> list[Truth]:
    made = _made(call, arrays)
    image, known = _wide(made.image), _known(call, made, arrays)
    grad = made.canonical(_wide(arrays["grad"]))
    if not (np.isfinite(image).all() and np.isfinite(grad).all() and np.isfinite(made.plan.fill).all()):
        raise Unknown  # zero times what is not finite hangs on rounding
    unit = max(1.0, *map(abs, made.lattice.frame_in.scale))
    if known is None:
        reads = Reads(call, made, image)
        samples = reads.prefilter(image, made.plan)
        on_image, on_geometry = _reference.pull_vjp(samples, reads.geometry, grad, reads.lattice, made.plan)
        error = 10 * unit * reads.accuracy
    else:
        mean = reads = Mean(call, made, image, known)
        covered = np.broadcast_to(mean.is_covered, grad.shape)
        share = np.where(covered, grad / np.where(mean.is_covered, mean.coverage, 1), 0)
        plan = mean.plan
        on_image, on_geometry = _reference.pull_vjp(mean.image, reads.geometry, share, reads.lattice, plan)
        on_coverage = -(np.conj(share) * mean.values).real
        shared = tuple(axis for axis, n in enumerate(mean.coverage.shape) if n == 1 != on_coverage.shape[axis])
        on_coverage = on_coverage.sum(axis=shared, keepdims=True)
        on_geometry = (
            on_geometry + _reference.pull_vjp(mean.weight, reads.geometry, on_coverage, reads.lattice, plan)[1]
        )
        error = 100 * unit * float(mean.error.max(initial=0))
    if any(made.plan.prefilter):
        on_image = _reference.prefilter(on_image, made.plan, adjoint=True)
    if known is not None:
        on_image = np.where(known > 0, on_image * known, 0)
    values_sure, all_smooth = bool(reads.is_sure.all()), bool(reads.is_smooth.all())
    first = Truth(made.restore_image(on_image), values_sure, error)
    if call.function == "sample_vjp":
        smooth = reads.is_smooth.all(1) if known is not None else reads.is_smooth
        smooth = smooth.all(0, keepdims=True) if len(on_geometry) == 1 else smooth
        smooth = np.broadcast_to(smooth[..., None], on_geometry.shape)
        batched = made.recipe.layout.batch
        return [first, Truth(*(each if batched else each[0] for each in (on_geometry, smooth)), error)]
    transform = arrays["transform"]
    on_geometry = on_geometry if transform.batch_shape else on_geometry[0]
    if made.lattice.kind == LATTICES["given"]:
        on_parameters = transform.coordinates_vjp(on_geometry, made.lattice.shape, call.options["frame"])
    else:
        on_parameters = transform.geometry_vjp(on_geometry)
    largest = max(1.0, np.abs(np.where(np.isfinite(on_parameters), on_parameters, 0)).max(initial=0))
    return [first, Truth(on_parameters, all_smooth and bool(np.isfinite(on_parameters).all()), error * largest)]


def _splat(call: Any, arrays: dict[str, Any]) -> list[Truth]:
    options = {"fill": np.nan, "normalize": False, **call.options}
    if isinstance(options["normalize"], str):
        return []
    names = ("interpolation", "border", "fill", "extent", "channel_axis", "frame")
    reading = reading_of(*({"channel_axis": None, **options}[name] for name in names))
    scatter = _scatter(arrays["values"], arrays["coords"], options["shape"], arrays.get("weight"), reading)
    values = _wide(scatter.values)
    batch = scatter.batch
    if np.prod((batch, values.shape[1], *scatter.shape)) > _MOST_VALUES or values.size > _MOST_VALUES:
        raise Unknown
    if not np.isfinite(values).all():
        raise Unknown
    target = np.zeros((batch, values.shape[1], *scatter.shape), scatter.values.dtype)
    reads = Reads(call, _Target(scatter, target), target)
    if not reads.is_sure.all():
        raise Unknown
    values = np.broadcast_to(values, (batch, *values.shape[1:]))

    def push(values: Any) -> Any:
        image = _reference.push(
            values, reads.geometry, reads.lattice, scatter.plan, (batch, values.shape[1], *scatter.shape)
        )
        return _reference.prefilter(image, scatter.plan, adjoint=True) if any(scatter.plan.prefilter) else image

    weight = np.ones((batch, 1, *values.shape[2:])) if scatter.weight is None else _wide(scatter.weight)
    weight = np.broadcast_to(weight, (batch, *weight.shape[1:]))
    total, coverage = push(np.where(weight > 0, values * weight, 0)), push(weight)
    count = max(1.0, float(np.prod(values.shape[2:]))) ** 0.5
    error = 10 * reads.accuracy * count
    sure: Any = True
    if options["normalize"]:
        sure = np.abs(coverage - scatter.least) > (0.1 * scatter.least or 1e-5)
        sure &= (coverage == 0) | (np.abs(coverage) > 1e-3)
        reached = coverage > scatter.least
        fill = np.asarray(scatter.fill).reshape(-1, *(1,) * len(scatter.shape))
        total = np.where(reached, total / np.where(reached, coverage, 1), fill)
        error = error / np.where(reached, np.minimum(np.abs(coverage), 1), 1) ** 2
        sure, error = (np.broadcast_to(each, total.shape) for each in (sure, error))
        sure, error = scatter.restore(sure), scatter.restore(error)
    truths = [Truth(scatter.restore(total), sure, error)]
    if options.get("return_weight"):
        truths.append(Truth(scatter.restore(np.broadcast_to(coverage, total.shape)), True, 10 * reads.accuracy * count))
    return truths


class _Target:
    """What :class:`Reads` asks of a call, of points that are scattered."""

    def __init__(self, scatter: Any, image: Any) -> None:
        self.plan, self.lattice, self.geometry, self.backend = (
            scatter.plan,
            scatter.lattice,
            scatter.coords,
            scatter.backend,
        )
        self.image, self.recipe = image, _Recipe((scatter.batch, image.shape[1], *scatter.lattice.shape))


@dataclass
class _Recipe:
    shape: tuple[int, ...]


def _resize(call: Any, arrays: dict[str, Any]) -> list[Truth]:
    image = arrays["image"]
    options = {"fill": 0, "shape": None, "scale": None, **call.options}
    if "mask" in arrays or "weight" in arrays or isinstance(image, np.ma.MaskedArray) or options.get("return_weight"):
        return []
    names = options["interpolation"], options["border"] or "symmetric", options["fill"]
    reading = reading_of(*names, "blend", options["channel_axis"], "index")
    sizes = options["shape"], options["scale"]
    made = call_to("resize", image, *sizes, reading, options["border"] is not None, options["antialias"])
    if np.prod(made.recipe.shape) > _MOST_VALUES or not np.isfinite(made.plan.fill).all():
        raise Unknown
    samples = made.image if options["interpolation"] == "label" else _wide(made.image)
    if not np.isfinite(samples).all():
        raise Unknown
    in_double = made.backend.sum_dtype(made.image.dtype) in (np.float64, np.complex128)
    samples = _reference.prefilter(samples, made.plan) if any(made.plan.prefilter) else samples
    right = made.restore(_reference.resize(samples, made.lattice.shape, made.sizing(made.plan)))
    return [Truth(right, True, 1e-9 if in_double else 3e-5)]


_TRUTHS = {
    "sample": _values,
    "warp": _values,
    "gradient": _gradient,
    "sample_vjp": _vjp,
    "warp_vjp": _vjp,
    "splat": _splat,
    "resize": _resize,
}
