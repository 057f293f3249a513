"""Random calls of the sampling functions, with anything in their arguments: what a fuzzing run draws."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from memory import laid_out

import pullback as pb
from pullback._plan import BORDERS, FRAMES, INTERPOLATIONS, frame_of, is_reversed

REALS = ("float32", "float64")
DTYPES = (
    *("bool", "uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32", "int64"),
    *("float16", *REALS, *REALS, "complex64", "complex128"),
)
KERNELS = (*(name for name in INTERPOLATIONS if name != "label"), "spline2", "spline3", "spline4", "spline5")
USUAL = ("nearest", "linear", "cubic", "lanczos3", "spline3")
STRANGE = (
    *(np.nan, np.inf, -np.inf, 1e300, -1e300, 1e38, 2.0**30, -(2.0**30), 2.0**31, -(2.0**31), 2.0**63, -(2.0**63)),
    *(2.0**30 - 1, 1e9, -1e9, 16777217.5, 1e-310, -1e-310, 1e-40, -0.0, 0.0, -0.5, 0.5, np.nextafter(1, 0)),
)
FILLS = (0, 0, 1, 0.5, -1, 300, 1e30, np.nan, np.inf, -np.inf)


@dataclass
class Call:
    """A call of a public function, its arrays apart from its options."""

    function: str
    arrays: dict[str, Any]
    options: dict[str, Any] = field(default_factory=dict)
    out: np.ndarray | None = None
    channels: int = 1

    def __str__(self) -> str:
        lines = [f"pb.{self.function}, channels {self.channels}, options {self.options}"]
        arrays = {**self.arrays, "out": self.out} if self.out is not None else self.arrays
        for name, array in arrays.items():
            array = array if isinstance(array, np.ndarray) else np.asarray(getattr(array, "matrix", array))
            values = np.array2string(array, threshold=40, edgeitems=2, precision=17).replace("\n", "\n    ")
            lines.append(f"  {name}: {array.dtype}, shape {array.shape}, strides {array.strides}\n    {values}")
        return "\n".join(lines)

    def run(self, arrays: dict[str, Any], out: np.ndarray | None) -> tuple[np.ndarray, ...]:
        """Return the results of the call on `arrays`."""
        arrays = {name: array for name, array in arrays.items() if array is not None}
        options = self.options if out is None else {**self.options, "out": out}
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            result = getattr(pb, self.function)(**arrays, **options)
        results = result if isinstance(result, tuple) else (result,)
        return tuple(np.asarray(each) for each in results)


def sides(random, ndim, least=0):
    shape = [int(n) for n in random.integers(least, 10, ndim)]
    if random.random() < 0.9:  # a side of 0 leaves nothing else to be tried
        shape = [max(n, 1) for n in shape]
    kind, axis = random.random(), int(random.integers(ndim))
    if kind < 0.12:
        shape[axis] = int(random.integers(33, 44))
    elif kind < 0.2:
        shape = [min(n, 4) for n in shape]
        shape[axis] = int(random.integers(100, 700 if ndim > 1 else 5000))
    elif kind < 0.24 and ndim > 1:
        shape = [int(n) for n in random.integers(90, 170, 2)] + [int(n) for n in random.integers(1, 3, ndim - 2)]
    return tuple(shape)


def numbers(random, shape, dtype):
    """Return values of a dtype, of any size, and for floating dtypes sometimes not finite."""
    dtype = np.dtype(dtype)
    if dtype.kind == "b":
        return random.integers(0, 2, shape).astype(bool)
    if dtype.kind in "iu":
        info = np.iinfo(dtype)
        few = random.random() < 0.5
        low, high = (max(info.min, -4), 4) if few else (info.min, info.max)
        return random.integers(low, high, shape, dtype, endpoint=True)
    values = random.uniform(-100, 100, shape)
    if dtype.kind == "c":
        values = values + 1j * random.uniform(-100, 100, shape)
    if random.random() < 0.06:
        values = np.where(random.random(shape) < 0.1, random.choice([np.nan, np.inf, -np.inf, 1e30]), values)
    with np.errstate(all="ignore"):
        return values.astype(dtype)


def image_of(random, ndim, dtype, shape=None):
    """Return an image in its layout, its batch (None for none), channels and channel axis."""
    spatial = sides(random, ndim) if shape is None else shape
    extra = int(random.integers(3))
    channels = int(random.choice([0, 1, 2, 3, 4, 5, 8, 17], p=[0.02, 0.2, 0.2, 0.3, 0.15, 0.05, 0.05, 0.03]))
    batch = int(random.choice([0, 1, 2, 3], p=[0.03, 0.3, 0.37, 0.3]))
    if np.prod(spatial) > 10000:
        channels, batch = min(channels, 3), min(batch, 2)
    if extra == 0:
        return laid_out(random, numbers(random, spatial, dtype)), None, 1, None, spatial
    shape = (*((batch,) if extra == 2 else ()), channels, *spatial)
    image = numbers(random, shape, dtype)
    channel_axis = None
    if random.random() < 0.6:
        first = extra - 1
        channel_axis = int(random.choice([first, image.ndim - 1, random.integers(first, image.ndim)]))
        image = np.moveaxis(image, extra - 1, channel_axis)
        channel_axis -= image.ndim * int(random.integers(2))
    return laid_out(random, image), batch if extra == 2 else None, channels, channel_axis, spatial


def options_of(random, ndim, channels, dtype, *, label=True):
    """Return the options that all calls share."""
    one = lambda: (  # noqa: E731
        pb.Cubic(float(random.uniform(-1.5, 0.5)))
        if random.random() < 0.06
        else str(random.choice(USUAL if random.random() < 0.5 else KERNELS))
    )
    interpolation = one() if random.random() < 0.75 else [one() for _ in range(ndim)]
    if label and np.dtype(dtype).kind in "biu" and random.random() < 0.25:
        interpolation = "label"
    border = str(random.choice(list(BORDERS)))
    if random.random() < 0.25:
        border = [str(name) for name in random.choice(list(BORDERS), ndim)]
    options = {"interpolation": interpolation, "border": border, "extent": str(random.choice(["blend", "crop"]))}
    options["frame"] = str(random.choice(FRAMES)) if random.random() < 0.6 else "index"
    if random.random() < 0.7:
        options["fill"] = fill_of(random, channels, dtype)
    return options


def fill_of(random, channels, dtype):
    each = lambda: float(random.choice(FILLS))  # noqa: E731
    if np.dtype(dtype).kind == "c" and random.random() < 0.5:
        each = lambda: complex(random.choice(FILLS), random.choice(FILLS))  # noqa: E731
    return [each() for _ in range(channels)] if channels and random.random() < 0.3 else each()


def strange(random, values):
    """Put anything in the place of some numbers."""
    share = random.choice([0, 0, 0.02, 0.2, 0.7])
    return np.where(random.random(values.shape) < share, random.choice(STRANGE, values.shape), values)


def coordinates(random, points, spatial, frame):
    """Return positions about an image in a frame: (*points, d)."""
    ndim = len(spatial)
    spread = random.choice([1.2, 1.2, 1.2, 4, 0.5])
    size = np.array(spatial)
    x = (random.uniform(-0.5, 0.5, (*points, ndim)) * spread + 0.5) * np.maximum(size, 1) - 0.5
    kind = random.random()
    if kind < 0.2:
        x = np.rint(2 * x) / 2
    elif kind < 0.35 and points:  # neighbours in a row, as in a flow field
        x = x[..., :1, :] + np.arange(points[-1])[:, None] * (np.arange(ndim) == ndim - 1)
    reading = frame_of(frame, spatial)
    with np.errstate(all="ignore"):
        x = (x - np.array(reading.offset)) / np.array(reading.scale)
    if is_reversed(frame):
        x = x[..., ::-1]
    return strange(random, x)


def points_of(random):
    kind = random.random()
    if kind < 0.06:
        return (int(random.integers(40, 180)), int(random.integers(60, 300)))
    if kind < 0.16:
        return (int(random.integers(200, 3000)),)
    return tuple(int(n) for n in random.integers(0 if random.random() < 0.1 else 1, 10, random.integers(0, 5)))


def with_coordinates(random, batch, spatial, options):
    points = points_of(random)
    frame = options["frame"]
    several = () if batch is None else ((batch if random.random() < 0.6 else 1),)
    if batch == 1 and random.random() < 0.3:
        several = (2,)
    x = coordinates(random, (*several, *points), spatial, frame)
    with np.errstate(all="ignore"):
        x = x.astype(random.choice(["float16", *REALS, *REALS, *REALS]))
    return laid_out(random, x), points


def transform_of(random, ndim, spatial, output, frame, *, hostile=True):
    batch = () if random.random() < 0.6 else (int(random.integers(1, 4)),)
    kind = random.random()
    scale = np.array(spatial)[..., None] if frame == "index" else np.ones((ndim, 1))
    linear = np.eye(ndim) + random.uniform(-0.6, 0.6, (*batch, ndim, ndim)) * random.choice([0, 0.02, 1, 1, 3])
    offset = random.uniform(-0.4, 0.4, (*batch, ndim, 1)) * scale * random.choice([0, 1, 1, 3])
    if kind < 0.3:  # neighbours stay neighbours
        linear = np.broadcast_to(np.eye(ndim), linear.shape) * random.choice([1.0, 1.0, -1.0, 0.0, 0.5])
    matrix = np.concatenate([linear, offset], axis=-1)
    if kind > 0.94:
        return pb.Translation(offset[..., 0])
    anything = (lambda values: strange(random, values)) if hostile else (lambda values: values)
    if kind > 0.8:
        last = random.uniform(-1, 1, (*batch, 1, ndim)) / np.maximum(scale if frame == "index" else 1, 1).T
        last = np.concatenate([last, np.ones((*batch, 1, 1))], axis=-1)
        whole = np.concatenate([matrix, last], axis=-2) * random.choice([1, 1, -1, 1e-3])
        return pb.Projective(anything(whole), one_sided=bool(random.random() < 0.3))
    if kind > 0.6 and min(output) > 0:
        controls = tuple(int(random.integers(4, 9)) for _ in output)
        vectors = (*batch, *(output if kind > 0.7 else controls), ndim)
        field = anything(random.uniform(-0.3, 0.3, vectors) * scale[..., 0])
        return pb.Displacement(field) if kind > 0.7 else pb.FreeForm(field)
    return pb.Affine(anything(matrix))


def mask_of(random, image, spatial):
    kind = random.random()
    if kind < 0.3 and image.dtype.kind in "fc":
        return "nan"
    shape = image.shape if kind < 0.65 else spatial
    shape = tuple(1 if random.random() < 0.15 else n for n in shape)
    return laid_out(random, random.random(shape) < random.choice([0, 0.2, 0.9]))


def weight_of(random, image, spatial):
    """Return how far samples are known, of the image's shape or of its spatial shape."""
    shape = image.shape if random.random() < 0.5 else spatial
    shape = tuple(1 if random.random() < 0.15 else n for n in shape)
    weight = random.random(shape) * (random.random(shape) > random.choice([0, 0.2, 0.9]))
    if random.random() < 0.2:
        weight = np.round(weight)
    return laid_out(random, weight.astype(str(random.choice(["bool", "uint8", "float16", *REALS]))))


def add_known(random, call, spatial):
    """Say of some calls how far the samples of their image are known: a mask, weights, a masked array, or several."""
    kind = random.random()
    if kind < 0.15 or kind > 0.97:
        call.arrays["mask"] = mask_of(random, call.arrays["image"], spatial)
    if 0.15 < kind < 0.25 or kind > 0.98:
        call.arrays["weight"] = weight_of(random, call.arrays["image"], spatial)
    if 0.25 < kind < 0.3 or kind > 0.99:
        image = call.arrays["image"]
        missing = random.random(image.shape) < random.choice([0, 0.2, 0.9])
        call.arrays["image"] = np.ma.MaskedArray(image, mask=laid_out(random, missing))


class Sub(np.ndarray):
    """A subclass of an array."""


def disguised(random, call):
    """Give some arguments in another form that means the same: scalars of NumPy, subclasses, tuples for lists."""
    for name, array in call.arrays.items():
        if type(array) is np.ndarray and random.random() < 0.03:
            call.arrays[name] = array.view(Sub)
    if random.random() < 0.15:
        call.options.update({name: _in_numpy(random, value) for name, value in call.options.items()})
    return call


def _in_numpy(random, value):
    if isinstance(value, bool):
        return np.bool_(value)
    if isinstance(value, int):
        return np.int64(value) if random.random() < 0.5 else np.int8(value) if abs(value) < 100 else np.int32(value)
    if isinstance(value, float):
        return np.float32(value) if float(np.float32(value)) == value else np.float64(value)
    if isinstance(value, complex):
        return np.complex128(value)
    if isinstance(value, str):
        return np.str_(value) if random.random() < 0.3 else value
    if isinstance(value, list | tuple) and not any(isinstance(each, pb.Cubic) for each in value):
        return np.array(value) if random.random() < 0.5 else tuple(_in_numpy(random, each) for each in value)
    return value


def results_of(random, options, dtype):
    """Ask for another dtype of the result, and return it."""
    if options["interpolation"] == "label" or random.random() < 0.5:
        return np.dtype(dtype)
    complex_or_any = ("complex64", "complex128") if np.dtype(dtype).kind == "c" else DTYPES
    return np.dtype(str(random.choice(complex_or_any)))


def make_sample(random):
    ndim, dtype = int(random.integers(1, 4)), str(random.choice(DTYPES))
    image, batch, channels, channel_axis, spatial = image_of(random, ndim, dtype)
    options = options_of(random, ndim, channels, dtype)
    x, _ = with_coordinates(random, batch, spatial, options)
    call = Call("sample", {"image": image, "coords": x}, {**options, "channel_axis": channel_axis}, channels=channels)
    return reading(random, call, spatial, dtype)


def make_warp(random):
    ndim, dtype = int(random.integers(1, 4)), str(random.choice(DTYPES))
    image, _, channels, channel_axis, spatial = image_of(random, ndim, dtype)
    options = options_of(random, ndim, channels, dtype)
    options["antialias"] = options["interpolation"] != "label" and bool(random.random() < 0.2)
    options["shape"] = sides(random, ndim) if random.random() < 0.5 else None
    tiny = np.prod(spatial if options["shape"] is None else options["shape"]) <= 4
    output = spatial if options["shape"] is None else options["shape"]
    hostile = not options["antialias"] or tiny
    transform = transform_of(random, ndim, spatial, output, options["frame"], hostile=hostile)
    options["channel_axis"] = channel_axis
    call = Call("warp", {"image": image, "transform": transform}, options, channels=channels)
    return reading(random, call, spatial, dtype)


def reading(random, call, spatial, dtype):
    """Add what `sample`, `warp` and `resize` have beyond what all calls have: a mask, a dtype, an output."""
    options = call.options
    if options["interpolation"] != "label":
        add_known(random, call, spatial)
    if random.random() < 0.1:
        options["return_weight"] = True
    wanted = results_of(random, options, dtype)
    if random.random() < 0.5:
        options["dtype"] = wanted
    else:
        try:
            shape = call.run(call.arrays, None)[0].shape
        except (ValueError, TypeError):
            return call  # the caller will meet the same
        call.out = laid_out(random, np.zeros(shape, wanted), writes=True)
    return call


def make_gradient(random):
    ndim, dtype = int(random.integers(1, 4)), str(random.choice(DTYPES))
    image, batch, channels, channel_axis, spatial = image_of(random, ndim, dtype)
    options = options_of(random, ndim, channels, dtype, label=False)
    x, _ = with_coordinates(random, batch, spatial, options)
    call = Call("gradient", {"image": image, "coords": x}, {**options, "channel_axis": channel_axis}, channels=channels)
    add_known(random, call, spatial)
    return call


def make_vjp(random):
    """Make a call of `sample` or `warp`, and one of its derivative from it."""
    call = make_sample(random) if random.random() < 0.5 else make_warp(random)
    call.out = None
    options = call.options
    for name in ("dtype", "return_weight"):
        options.pop(name, None)
    if options["interpolation"] == "label":
        options["interpolation"] = "nearest"
    shape = call.run(call.arrays, None)[0].shape
    options.pop("shape", None)
    dtype = "complex128" if call.arrays["image"].dtype.kind == "c" else str(random.choice(REALS))
    call.arrays["grad"] = laid_out(random, numbers(random, shape, dtype))
    call.function += "_vjp"
    return call


def make_splat(random):
    ndim, dtype = int(random.integers(1, 4)), str(random.choice(DTYPES))
    shape = sides(random, ndim)
    kind = int(random.integers(3))
    batch = int(random.integers(1, 4)) if kind == 2 else None
    channels = int(random.integers(1, 5)) if kind else 1
    options = options_of(random, ndim, channels, dtype, label=False)
    x, points = with_coordinates(random, batch, shape, options)
    leading = () if kind == 0 else (channels,) if kind == 1 else (max(batch, x.shape[0]), channels)
    values = laid_out(random, numbers(random, (*leading, *points), dtype))
    call = Call("splat", {"values": values, "coords": x}, {**options, "shape": shape}, channels=channels)
    call.options["normalize"] = [False, False, True, "softmax", "max"][int(random.integers(5))]
    call.options["return_weight"] = bool(random.random() < 0.3)
    if random.random() < 0.2:
        call.arrays["weight"] = weight_of(random, values, (*(leading[:1] if kind == 2 else ()), *points))
    if isinstance(call.options["normalize"], str):
        importance = random.uniform(-3, 3, x.shape[:-1]) * random.choice([0, 1, 100])
        importance = np.where(random.random(importance.shape) < 0.05, random.choice(STRANGE), importance)
        with np.errstate(all="ignore"):
            call.arrays["importance"] = laid_out(random, importance.astype(str(random.choice(REALS))))
    return call


def make_resize(random):
    ndim, dtype = int(random.integers(1, 4)), str(random.choice(DTYPES))
    image, _, channels, channel_axis, spatial = image_of(random, ndim, dtype)
    options = options_of(random, ndim, channels, dtype)
    del options["frame"], options["extent"]
    if random.random() < 0.5:
        options["border"] = None
    if options["interpolation"] != "label" and random.random() < 0.2:
        options["interpolation"] = "area" if random.random() < 0.5 else ["area", *random.choice(USUAL, ndim - 1)]
    options["antialias"], options["channel_axis"] = bool(random.integers(2)), channel_axis
    if random.random() < 0.3:
        options["scale"] = [float(factor) for factor in random.uniform(0.1, 3, ndim)]
    else:
        options["shape"] = tuple(max(1, n) for n in sides(random, ndim))
    return reading(random, Call("resize", {"image": image}, options, channels=channels), spatial, dtype)


def make_prefilter(random):
    ndim, dtype = int(random.integers(1, 4)), str(random.choice(DTYPES))
    image, _, channels, channel_axis, _ = image_of(random, ndim, dtype)
    options = options_of(random, ndim, channels, dtype, label=False)
    order = int(random.integers(6)) if random.random() < 0.6 else [int(n) for n in random.integers(0, 6, ndim)]
    options = {"order": order, "border": options["border"], "fill": options.get("fill", 0), "ndim": ndim}
    return Call("prefilter", {"image": image}, {**options, "channel_axis": channel_axis}, channels=channels)


MAKERS = (make_sample, make_warp, make_gradient, make_vjp, make_vjp, make_splat, make_resize, make_prefilter)
