"""What a caller can get wrong is refused before any work, with the function, the argument, and what to do."""

import ast
import traceback
from functools import partial
from pathlib import Path

import numpy as np
import pytest

import pullback as pb
from pullback import _check

torch = pytest.importorskip("torch")

IMAGE, COORDS, TURN = np.ones((8, 9)), np.ones((5, 2)), pb.Affine.rotation(10)
COLOURS, BATCH = np.ones((3, 8, 9)), np.ones((2, 3, 8, 9))
COMPLEX, LABELS = IMAGE.astype(complex), IMAGE.astype(np.int16)
MASKED = np.ma.array(IMAGE, mask=IMAGE > 0)
OUT = np.full(5, 7.0)
VALUES = np.ones(5)
TENSOR, POINTS = torch.ones(8, 9), torch.ones(5, 2)

sample, warp, splat, resize = pb.sample, pb.warp, pb.splat, pb.resize

# the calls of each group, as (call, error, what its message says)
NAMES = [
    (
        partial(sample, IMAGE, COORDS, interpolation="cubist", out=OUT),
        ValueError,
        "sample: `interpolation` is 'cubist'",
    ),
    (partial(sample, IMAGE, COORDS, interpolation=3), TypeError, "sample: `interpolation` must be a name"),
    (
        partial(sample, IMAGE, COORDS, interpolation=("linear", 3)),
        ValueError,
        "`interpolation` is 3, which is 'spline3'",
    ),
    (
        partial(sample, IMAGE, COORDS, interpolation=pb.Cubic(np.inf)),
        ValueError,
        r"`interpolation` is Cubic\(a=inf\); `a` must be a finite number",
    ),
    (partial(sample, IMAGE, COORDS, interpolation=pb.Cubic("x")), ValueError, r"`interpolation` is Cubic\(a='x'\)"),
    (partial(sample, IMAGE, COORDS, border=pb.Cubic()), ValueError, r"sample: `border` is Cubic\(a=-0.5\); choose"),
    (partial(sample, IMAGE, COORDS, border=("edge",) * 3), ValueError, "`border` has 3 entries for 2 spatial axes"),
    (partial(sample, IMAGE, COORDS, border="zeros", out=OUT), ValueError, "choose from 'constant', 'edge'"),
    (partial(sample, IMAGE, COORDS, extent="clip"), ValueError, "`extent` is 'clip'; choose from 'blend', 'crop'"),
    (partial(sample, IMAGE, COORDS, extent=COORDS), ValueError, "sample: `extent` is array"),
    (partial(sample, IMAGE, COORDS, frame="pixels"), ValueError, "sample: `frame` is 'pixels'; choose from 'index'"),
    (partial(sample, IMAGE, COORDS, frame=None), ValueError, "sample: `frame` is None"),
    (partial(pb.gradient, IMAGE, COORDS, border="zeros"), ValueError, "gradient: `border` is 'zeros'"),
]
FILLS = [
    (partial(sample, IMAGE, COORDS, fill="red"), TypeError, "sample: `fill` must be a number"),
    (partial(sample, IMAGE, COORDS, fill=None), TypeError, "sample: `fill` must be a number"),
    (partial(sample, COLOURS, COORDS, fill=[1, 2]), ValueError, "`fill` has 2 entries but the image has 3 channels"),
    (partial(sample, np.ones((0, 8, 9)), COORDS, fill=[]), ValueError, "`fill` has 0 entries"),
    (
        partial(sample, TENSOR, POINTS, fill=torch.tensor([0.5], requires_grad=True)),
        TypeError,
        r"sample: `fill` requires a gradient, .* use fill=0 and return_weight=True, .*; give fill.detach\(\)",
    ),
    (partial(sample, IMAGE, COORDS, fill=1j), TypeError, "`fill` is 1j but the image is of dtype float64; give real"),
    (partial(sample, TENSOR, POINTS, fill=[1j]), TypeError, r"`fill` is \[1j\] but the image is of dtype float32"),
    (partial(splat, VALUES, COORDS, (8, 9), normalize=True, fill=1j), TypeError, "splat: `fill` is 1j"),
]
AXES = [
    (partial(sample, IMAGE, np.ones((5, 4))), ValueError, r"sample: `coords` has shape \(5, 4\); its last axis must"),
    (partial(sample, IMAGE, 3.0), ValueError, r"sample: `coords` has shape \(\)"),
    (partial(sample, IMAGE, COORDS * 1j), TypeError, "sample: `coords` must hold real numbers, got dtype complex128"),
    (partial(sample, TENSOR, POINTS * 1j), TypeError, "sample: `coords` must hold real numbers, got dtype torch.comp"),
    (partial(sample, IMAGE, np.ones((5, 3))), ValueError, r"`image` has shape \(8, 9\) but there are 3 coordinates"),
    (partial(sample, np.ones((1, 2, 3, 8, 9)), COORDS), ValueError, r"`image` has shape \(1, 2, 3, 8, 9\)"),
    (partial(sample, BATCH, COORDS), ValueError, r"so `coords` must have the axes \(batch or 1, ..., d\)"),
    (partial(sample, BATCH, np.ones((3, 5, 2))), ValueError, "`image` has a batch of 2"),
    (partial(sample, IMAGE, COORDS, channel_axis=5), ValueError, "`channel_axis` is 5 but `image` has 2 axes"),
    (partial(sample, IMAGE, COORDS, channel_axis="c"), TypeError, "sample: `channel_axis` must be an integer"),
    (partial(sample, IMAGE, COORDS, channel_axis=-1), ValueError, "beside them it must have 2 spatial axes"),
    (partial(sample, np.broadcast_to(np.ones(1), (2**30, 1)), COORDS), ValueError, "sides must be below"),
    (partial(sample, np.ones((0, 9)), COORDS, border="wrap"), ValueError, "sample: `image` has no samples"),
]
DTYPES = [
    (
        partial(sample, IMAGE.astype(object), COORDS),
        TypeError,
        "sample: `image` is of dtype object; supported are bool",
    ),
    (partial(sample, IMAGE.astype("U3"), COORDS), TypeError, "sample: `image` is of dtype <U3"),
    (partial(sample, TENSOR.to(torch.float8_e5m2), POINTS), TypeError, "is of dtype torch.float8_e5m2; supported are"),
    (partial(sample, IMAGE, COORDS, dtype="rainbow"), TypeError, "`dtype` is 'rainbow', which is no NumPy dtype"),
    (partial(sample, IMAGE, COORDS, dtype="M8[s]"), TypeError, r"sample: `dtype` is datetime64\[s\]; supported are"),
    (
        partial(sample, TENSOR, POINTS, dtype=np.float32),
        TypeError,
        "sample: `dtype` is <class 'numpy.float32'>; give a",
    ),
    (partial(sample, COMPLEX, COORDS, dtype=np.float64), TypeError, "`dtype` is of dtype float64 but the image is com"),
    (partial(sample, COMPLEX, COORDS, out=OUT), TypeError, "`out` is of dtype float64 but the image is complex"),
    (partial(resize, COMPLEX, (4, 4), dtype="uint8"), TypeError, "resize: `dtype` is of dtype uint8 but the image is"),
    (
        partial(sample, TENSOR.to(torch.complex64), POINTS, dtype=torch.float32),
        TypeError,
        "`dtype` is of dtype float32 but the image is complex; give a complex dtype",
    ),
]
OUTS = [
    (partial(sample, IMAGE, COORDS, out=np.ones(4)), ValueError, r"`out` has shape \(4,\) but the result has shape"),
    (partial(sample, IMAGE, COORDS, out=[0.0] * 5), TypeError, "sample: `out` must be a writeable array"),
    (partial(sample, IMAGE, COORDS, out=np.broadcast_to(1.0, 5)), TypeError, "sample: `out` must be a writeable array"),
    (
        partial(sample, IMAGE, COORDS, dtype=np.uint8, out=OUT),
        ValueError,
        "`out` is of dtype float64 but `dtype` is uin",
    ),
    (partial(sample, TENSOR, POINTS, out=torch.ones(5)), TypeError, "sample: `out` is for NumPy arrays; tensors come"),
]
LABEL = [
    (
        partial(sample, IMAGE, COORDS, interpolation="label"),
        TypeError,
        "'label' but the image is of dtype float64; lab",
    ),
    (
        partial(sample, COMPLEX, COORDS, interpolation="label"),
        TypeError,
        "'label' but the image is of dtype complex128",
    ),
    (partial(sample, TENSOR, POINTS, interpolation="label"), TypeError, "'label' but the image is of dtype float32"),
    (partial(sample, LABELS, COORDS, interpolation=("label", "linear")), ValueError, "'label' is for all axes, or for"),
    (
        partial(sample, LABELS, COORDS, interpolation="label", dtype=np.float32),
        TypeError,
        "sample: `dtype` is of dtype float32 but the labels are of dtype int16",
    ),
    (
        partial(sample, LABELS, COORDS, interpolation="label", out=OUT),
        TypeError,
        "sample: `out` is of dtype float64 but the labels are of dtype int16",
    ),
    (
        partial(sample, LABELS, COORDS, interpolation="label", mask=IMAGE > 0),
        ValueError,
        "sample: a mask mixes samples by their weights, but `interpolation` is 'label'",
    ),
    (
        partial(sample, MASKED.astype(np.int16), COORDS, interpolation="label"),
        ValueError,
        "sample: a mask mixes samples",
    ),
    (partial(warp, LABELS, TURN, interpolation="label", antialias=True), ValueError, "warp: `antialias` mixes samples"),
    (partial(pb.gradient, LABELS, COORDS, interpolation="label"), ValueError, "gradient: a slope mixes samples"),
    (partial(pb.sample_vjp, LABELS, COORDS, VALUES, interpolation="label"), ValueError, "sample_vjp: a gradient mixes"),
    (partial(pb.warp_vjp, LABELS, TURN, IMAGE, interpolation="label"), ValueError, "warp_vjp: a gradient mixes"),
    (partial(splat, np.ones(5, int), COORDS, (8, 9), interpolation="label"), ValueError, "splat: a sum mixes samples"),
    (
        partial(resize, LABELS, (4, 4), interpolation="label", mask=IMAGE > 0),
        ValueError,
        "resize: a mask mixes samples",
    ),
    (partial(resize, IMAGE, (4, 4), interpolation="label"), TypeError, "resize: `interpolation` is 'label' but the im"),
    (
        partial(sample, IMAGE, COORDS, interpolation="area"),
        ValueError,
        "sample: `interpolation` is 'area', the mean over .* use resize, or warp with antialias=True",
    ),
    (partial(warp, IMAGE, TURN, interpolation=("linear", "area")), ValueError, "warp: `interpolation` is 'area'"),
    (partial(splat, VALUES, COORDS, (8, 9), interpolation="area"), ValueError, "splat: `interpolation` is 'area'"),
]
MASKS = [
    (
        partial(sample, IMAGE, COORDS, mask=np.ones((8, 9))),
        TypeError,
        "`mask` is of dtype float64; give booleans, True",
    ),
    (partial(warp, IMAGE, TURN, mask=LABELS), TypeError, "warp: `mask` is of dtype int16; give booleans"),
    (partial(sample, TENSOR, POINTS, mask=TENSOR), TypeError, "sample: `mask` is of dtype float32; give booleans"),
    (partial(sample, IMAGE, COORDS, mask="missing"), ValueError, "sample: `mask` is 'missing'; choose from 'nan'"),
    (
        partial(sample, IMAGE, COORDS, mask=np.ones(9, bool)),
        ValueError,
        r"`mask` has shape \(9,\) but the image has sh",
    ),
    (
        partial(sample, COLOURS, COORDS, mask=np.ones((2, 8, 9), bool)),
        ValueError,
        r"`mask` has shape \(2, 8, 9\) but the image has shape \(3, 8, 9\); give that shape, or, without channels, ",
    ),
    (partial(sample, BATCH, COORDS[None], mask=np.ones((3, 8, 9), bool)), ValueError, r"`mask` has shape \(3, 8, 9\)"),
    (partial(pb.gradient, IMAGE, COORDS, mask=np.ones(3, bool)), ValueError, "gradient: `mask` has shape"),
    (partial(pb.sample_vjp, IMAGE, COORDS, VALUES, mask=np.ones(3, bool)), ValueError, "sample_vjp: `mask` has shape"),
    (partial(pb.warp_vjp, IMAGE, TURN, IMAGE, mask=np.ones(3, bool)), ValueError, "warp_vjp: `mask` has shape"),
    (
        partial(sample, IMAGE, COORDS, weight=IMAGE + 1j),
        TypeError,
        "sample: `weight` is of dtype complex128",
    ),
    (partial(warp, IMAGE, TURN, weight=IMAGE * 2), ValueError, "warp: `weight` has values beyond 0 to 1"),
    (
        partial(splat, VALUES, COORDS, (8, 9), weight=np.ones(4)),
        ValueError,
        r"splat: `weight` has shape \(4,\)",
    ),
    (partial(sample, IMAGE, np.ma.array(COORDS)), TypeError, "sample: `coords` is a masked array"),
    (partial(sample, MASKED, COORDS, return_weight=1), TypeError, "`return_weight` must be True or False, got 1"),
    (partial(splat, VALUES, COORDS, (8, 9), return_weight="yes"), TypeError, "splat: `return_weight` must be True or"),
    (partial(resize, IMAGE, (4, 4), mask=np.ones(3, bool)), ValueError, r"resize: `mask` has shape \(3,\)"),
    (partial(resize, IMAGE, (4, 4), weight=IMAGE * 2), ValueError, "resize: `weight` has values beyond 0 to 1"),
    (
        partial(pb.prefilter, MASKED, 3),
        TypeError,
        r"prefilter: `image` is a masked array, .* give image.filled\(value\)",
    ),
    (
        partial(splat, np.ones((4, 3, 5, 6)), np.ones((4, 5, 6, 1)), (8,), channel_axis=1),
        ValueError,
        "splat: `channel_axis` is 1, among the points",
    ),
]
WARPS = [
    (partial(warp, IMAGE, np.eye(3)), TypeError, r"wrap a matrix as pullback.Affine\(matrix\)"),
    (
        partial(warp, IMAGE, pb.Affine.identity(3)),
        ValueError,
        r"warp: `transform` is 3-D but `image` has shape \(8, 9\)",
    ),
    (partial(warp, IMAGE, TURN, (8,)), ValueError, r"warp: `shape` is \(8,\); give 2 lengths"),
    (partial(warp, IMAGE, TURN, (8, -1)), ValueError, "none of them negative"),
    (partial(warp, IMAGE, TURN, 5), TypeError, "warp: `shape` must hold one integer a spatial axis, got 5"),
    (partial(warp, IMAGE, TURN, (5.5, 5)), TypeError, r"warp: `shape` must hold one integer a spatial axis, got \(5.5"),
    (partial(warp, np.ones((2, 1, 8, 9)), pb.Affine.rotation(np.ones(3))), ValueError, "`transform` has one of 3"),
    (partial(warp, IMAGE, TURN, antialias=2), TypeError, "warp: `antialias` must be True or False, got 2"),
    (
        partial(pb.warp_vjp, IMAGE, TURN, IMAGE, antialias=None),
        TypeError,
        "warp_vjp: `antialias` must be True or False",
    ),
    (partial(pb.warp_vjp, IMAGE, TURN, np.ones(9)), ValueError, r"warp_vjp: `grad` has shape \(9,\); the output has 2"),
    (partial(pb.warp_vjp, IMAGE, TURN, np.ones((2, 8, 9))), ValueError, "warp_vjp: `grad` has shape"),
    (
        partial(pb.warp_vjp, np.ones((8, 9, 3)), TURN, IMAGE, channel_axis=-1),
        ValueError,
        r"`grad` has shape \(8, 9\); it must have that of the output, with a channel axis",
    ),
    (partial(pb.sample_vjp, IMAGE, COORDS, np.ones(4)), ValueError, r"sample_vjp: `grad` has shape \(4,\) but the out"),
    (partial(pb.sample_vjp, TENSOR, POINTS, torch.ones(5)), TypeError, "sample_vjp: takes NumPy arrays; for tensors"),
    (partial(pb.explain, IMAGE, TURN, colour="red"), TypeError, "explain: unknown argument `colour`"),
    (lambda: pb.Affine.scaling(0.0, ndim=2).inverse(), ValueError, "inverse"),
]
SPLATS = [
    (partial(splat, np.ones(4), COORDS, (8, 9)), ValueError, r"splat: `values` of shape \(4,\) do not fit `coords`"),
    (partial(splat, VALUES, COORDS, (8,)), ValueError, r"splat: `shape` is \(8,\)"),
    (
        partial(splat, VALUES, COORDS, (8, 9), normalize="mean"),
        ValueError,
        "splat: `normalize` is 'mean'; choose from Fal",
    ),
    (
        partial(splat, VALUES, COORDS, (8, 9), normalize=1),
        ValueError,
        "splat: `normalize` is 1; choose from False, True",
    ),
    (
        partial(splat, VALUES, COORDS, (8, 9), normalize="softmax", importance=VALUES, interpolation="cubic"),
        ValueError,
        "`normalize` is 'softmax', which takes no interpolation with negative weights; use 'linear'",
    ),
    (
        partial(splat, VALUES, COORDS, (8, 9), normalize="softmax", importance=VALUES, interpolation="spline3"),
        ValueError,
        "takes no interpolation with negative weights",
    ),
    (partial(splat, VALUES, COORDS, (8, 9), normalize="softmax"), ValueError, "'softmax', which needs an `importance`"),
    (partial(splat, VALUES, COORDS, (8, 9), normalize="max"), ValueError, "'max', which needs an `importance`"),
    (partial(splat, VALUES, COORDS, (8, 9), importance=VALUES), ValueError, "`importance` is for normalize='softmax'"),
    (
        partial(splat, VALUES, COORDS, (8, 9), normalize="max", importance=1.0),
        ValueError,
        r"splat: `importance` has shape \(\); give one number a point, \(5,\)",
    ),
    (
        partial(splat, np.ones((2, 3, 5)), np.ones((2, 5, 2)), (8, 9), normalize="max", importance=np.ones((3, 5))),
        ValueError,
        r"`importance` has shape \(3, 5\); give one number a point, \(2, 5\)",
    ),
    (
        partial(splat, VALUES, COORDS, (8, 9), normalize="max", importance=1j * VALUES),
        TypeError,
        "splat: `importance` must hold real numbers, got dtype complex128",
    ),
    (
        partial(splat, VALUES, COORDS, (8, 9), normalize="max", importance=["a"] * 5),
        TypeError,
        "splat: `importance` must hold real numbers, got dtype str",
    ),
]
SIZES = [
    (partial(resize, IMAGE, 5), TypeError, "resize: `shape` must hold one integer a spatial axis, got 5"),
    (partial(resize, IMAGE, (4.0, 4)), TypeError, "resize: `shape` must hold one integer a spatial axis"),
    (partial(resize, IMAGE, (0, 4)), ValueError, r"resize: `shape` is \(0, 4\); give 1 to 3 lengths, of 1 or more"),
    (partial(resize, IMAGE, ()), ValueError, r"resize: `shape` is \(\); give 1 to 3 lengths"),
    (partial(resize, IMAGE, (4, 4, 4, 4)), ValueError, r"resize: `shape` is \(4, 4, 4, 4\); give 1 to 3 lengths"),
    (partial(resize, IMAGE, (4, 4, 4)), ValueError, r"resize: `image` has shape \(8, 9\) but there are 3"),
    (
        partial(resize, np.ones((0, 9)), (4, 4)),
        ValueError,
        r"resize: `image` has no samples \(spatial shape \(0, 9\)\)",
    ),
    (
        partial(resize, IMAGE, (4, 4), antialias="yes"),
        TypeError,
        "resize: `antialias` must be True or False, got 'yes'",
    ),
    (partial(resize, IMAGE), TypeError, "resize: give either `shape` or `scale`, for one is needed"),
    (partial(resize, IMAGE, (4, 4), scale=2), TypeError, "resize: give either `shape` or `scale`, not both"),
    (partial(resize, IMAGE, scale="half"), TypeError, "resize: `scale` must be a number or one number a spatial axis"),
    (partial(resize, IMAGE, scale=1j), TypeError, "resize: `scale` must be a number"),
    (partial(resize, IMAGE, scale=0), ValueError, "resize: `scale` is 0; give 1 to 3 numbers above 0"),
    (partial(resize, IMAGE, scale=(2, np.inf)), ValueError, r"resize: `scale` is \(2, inf\); give 1 to 3 numbers"),
    (partial(resize, IMAGE, scale=(1,) * 4), ValueError, "give 1 to 3 numbers above 0"),
    (partial(resize, COLOURS, scale=2), ValueError, "`image` has 3 axes beside its channels, and `scale` is one num"),
    (partial(resize, IMAGE, scale=1e9), ValueError, "resize: `scale` makes a side of 9000000000 samples; sides must"),
    (partial(resize, IMAGE, (4, 4), border="zeros"), ValueError, "resize: `border` is 'zeros', which is 'constant'"),
    (partial(resize, COLOURS, (4, 4), fill=(1, 2)), ValueError, "resize: `fill` has 2 entries but the image has 3"),
    (partial(resize, IMAGE, (4, 4), out=np.ones((4, 5))), ValueError, r"resize: `out` has shape \(4, 5\) but the re"),
    (partial(resize, TENSOR, (4, 4), out=TENSOR), TypeError, "resize: `out` is for NumPy arrays"),
    (partial(resize, IMAGE, (4, 4), interpolation="sinc"), ValueError, "resize: `interpolation` is 'sinc'.*'area'"),
    (partial(resize, IMAGE, (4, 4), dtype="rainbow"), TypeError, "resize: `dtype` is 'rainbow'"),
    (partial(pb.prefilter, IMAGE, 6), ValueError, "prefilter: `order` is 6; splines have an order of 0 to 5"),
    (partial(pb.prefilter, IMAGE, (3, -1)), ValueError, r"prefilter: `order` is \(3, -1\); splines have an order of 0"),
    (partial(pb.prefilter, IMAGE, (3, 2.0)), ValueError, r"prefilter: `order` is \(3, 2.0\); splines have"),
    (partial(pb.prefilter, IMAGE, 3.0), TypeError, "prefilter: `order` must be an integer or one an axis, got 3.0"),
    (partial(pb.prefilter, IMAGE, (3, 3), ndim=1), ValueError, "prefilter: `order` has 2 entries for 1 spatial axes"),
    (partial(pb.prefilter, COLOURS, 3), ValueError, "prefilter: `image` has 3 axes beside its channels; pass ndim"),
    (
        partial(pb.prefilter, IMAGE, 3, ndim=0),
        ValueError,
        "prefilter: `ndim` is 0; give the number of spatial axes, 1 to",
    ),
    (
        partial(pb.prefilter, IMAGE, 3, ndim="2"),
        ValueError,
        "prefilter: `ndim` is '2'; give the number of spatial axes",
    ),
    (
        partial(pb.prefilter, IMAGE, 3, "mirror"),
        ValueError,
        "prefilter: `border` is 'mirror', which is 'reflect'",
    ),
    (partial(pb.prefilter, np.ones((0, 9)), 3, "edge"), ValueError, "prefilter: `image` has no samples"),
    (partial(pb.set_num_threads, 2.0), TypeError, "set_num_threads: `count` must be an integer, got 2.0"),
    (partial(pb.set_num_threads, 0), ValueError, "set_num_threads: `count` is 0; give 1 to 1024"),
]
FITS = [
    (
        partial(pb.normal_equations, IMAGE, pb.Displacement(np.zeros((8, 9, 2))), IMAGE),
        TypeError,
        "normal_equations: `transform` is a Displacement; give one with a matrix",
    ),
    (
        partial(pb.normal_equations, torch.zeros(8, 9, device="meta"), pb.Affine.identity(2), IMAGE),
        TypeError,
        "normal_equations: `image` is on meta; give a tensor on the CPU",
    ),
    (
        partial(pb.normal_equations, IMAGE, pb.Affine.identity(2), np.ones(5)),
        ValueError,
        r"normal_equations: `target` has shape \(5,\); the output has 2 spatial axes",
    ),
]
CASES = [*NAMES, *FILLS, *AXES, *DTYPES, *OUTS, *LABEL, *MASKS, *WARPS, *SPLATS, *SIZES, *FITS]


@pytest.mark.parametrize(("call", "error", "message"), CASES, ids=[message[:50] for *_, message in CASES])
def test_refused(call, error, message):
    with pytest.raises(error, match=message):
        call()
    assert np.all(OUT == 7.0)


def test_every_error_can_be_reached():
    """Each `raise` of the file that holds the errors is where one of the calls above ends."""
    source = Path(_check.__file__)
    raised = {
        node.lineno: node.end_lineno for node in ast.walk(ast.parse(source.read_text())) if isinstance(node, ast.Raise)
    }
    assert len(raised) > 40
    reached = set()
    for call, error, _ in CASES:
        with pytest.raises(error) as caught:
            call()
        last = traceback.extract_tb(caught.value.__traceback__)[-1]
        if Path(last.filename) == source:
            reached |= {first for first, end in raised.items() if first <= last.lineno <= end}
    assert sorted(set(raised) - reached) == []


def test_each_message_begins_with_the_function():
    for call, error, _ in CASES:
        with pytest.raises(error, match=r"^[\w.]+: "):
            call()


def test_unknown_names_of_the_package():
    with pytest.raises(AttributeError, match="no attribute 'wrap'"):
        _ = pb.wrap


ELSEWHERE = {
    "border": {
        "zeros": "'constant'",
        "border": "'edge'",
        "replicate": "'edge'",
        "BORDER_REPLICATE": "'edge'",
        "nearest": "'edge'",
        "mirror": "'reflect'",
        "reflect_101": "'reflect'",
        "BORDER_REFLECT_101": "'reflect'",
        "reflection": "'symmetric' with align_corners=False",
        "grid-mirror": "'symmetric'",
        "grid-constant": "'constant'",
        "circular": "'wrap'",
        "grid-wrap": "'wrap'",
    },
    "interpolation": {
        "nearest-exact": "'nearest'",
        "INTER_LINEAR": "'linear'",
        "INTER_CUBIC": r"Cubic\(-0.75\)",
        "lanczos": "'lanczos3'",
        "biquintic": "'spline5'",
    },
}


@pytest.mark.parametrize(
    ("argument", "name", "here"), [(argument, *pair) for argument, names in ELSEWHERE.items() for pair in names.items()]
)
def test_names_that_other_libraries_use(argument, name, here):
    with pytest.raises(ValueError, match=f"sample: `{argument}` is '{name}', which is {here}.* here; choose from"):
        sample(IMAGE, COORDS, **{argument: name})
    with pytest.raises(ValueError, match=f", which is {here}"):
        warp(IMAGE, TURN, **{argument: ("linear" if argument == "interpolation" else "edge", name)})


def test_orders_of_splines_are_named():
    for order, here in enumerate(["nearest", "linear", "spline2", "spline3", "spline4", "spline5"]):
        with pytest.raises(TypeError, match=f"`interpolation` must be a name .* got {order}, which is '{here}' here"):
            sample(IMAGE, COORDS, interpolation=order)
