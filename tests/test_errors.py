"""What a caller can get wrong is refused before any work, with the function, the argument, and what to do."""

import numpy as np
import pytest

import pullback as pb

IMAGE, COORDS, TURN = np.ones((8, 9)), np.ones((5, 2)), pb.Affine.rotation(10)
OUT = np.full(5, 7.0)

# (call, error, what its message says)
CASES = [
    (
        lambda: pb.sample(IMAGE, COORDS, interpolation="cubist", out=OUT),
        ValueError,
        "sample: `interpolation` is 'cubist'",
    ),
    (lambda: pb.sample(IMAGE, COORDS, interpolation=3), TypeError, "sample: `interpolation` must be a name"),
    (
        lambda: pb.sample(IMAGE, COORDS, border=("edge",) * 3),
        ValueError,
        "sample: `border` has 3 entries for 2 spatial",
    ),
    (lambda: pb.sample(IMAGE, COORDS, border="zeros", out=OUT), ValueError, "choose from 'constant', 'edge'"),
    (
        lambda: pb.sample(IMAGE, COORDS, extent="clip"),
        ValueError,
        "sample: `extent` is 'clip'; choose from 'blend', 'crop'",
    ),
    (lambda: pb.sample(IMAGE, COORDS, frame="pixels"), ValueError, "sample: `frame` is 'pixels'"),
    (lambda: pb.sample(IMAGE, COORDS, fill="red"), TypeError, "sample: `fill` must be a number"),
    (
        lambda: pb.sample(np.ones((3, 8, 9)), COORDS, fill=[1, 2]),
        ValueError,
        "`fill` has 2 entries but the image has 3",
    ),
    (lambda: pb.sample(IMAGE, np.ones((5, 4))), ValueError, r"sample: `coords` has shape \(5, 4\); its last axis"),
    (lambda: pb.sample(IMAGE, 3.0), ValueError, r"sample: `coords` has shape \(\)"),
    (lambda: pb.sample(IMAGE, COORDS * 1j), TypeError, "sample: `coords` must hold real numbers, got dtype complex128"),
    (lambda: pb.sample(IMAGE, np.ones((5, 3))), ValueError, r"`image` has shape \(8, 9\) but there are 3 coordinates"),
    (lambda: pb.sample(np.ones((1, 2, 3, 8, 9)), COORDS), ValueError, r"`image` has shape \(1, 2, 3, 8, 9\)"),
    (
        lambda: pb.sample(IMAGE.astype(complex), COORDS),
        TypeError,
        "sample: `image` is of dtype complex128; supported are",
    ),
    (lambda: pb.sample(IMAGE.astype(object), COORDS), TypeError, "sample: `image` is of dtype object"),
    (
        lambda: pb.sample(np.ones((2, 3, 8, 9)), COORDS),
        ValueError,
        r"so `coords` must have the axes \(batch or 1, ..., d\)",
    ),
    (lambda: pb.sample(np.ones((2, 3, 8, 9)), np.ones((3, 5, 2))), ValueError, "`image` has a batch of 2"),
    (
        lambda: pb.sample(IMAGE, COORDS, channel_axis=5),
        ValueError,
        "sample: `channel_axis` is 5 but `image` has 2 axes",
    ),
    (lambda: pb.sample(IMAGE, COORDS, channel_axis="c"), TypeError, "sample: `channel_axis` must be an integer"),
    (lambda: pb.sample(IMAGE, COORDS, channel_axis=-1), ValueError, "beside them it must have 2 spatial axes"),
    (
        lambda: pb.sample(IMAGE, COORDS, dtype="rainbow"),
        TypeError,
        "sample: `dtype` is 'rainbow', which is no NumPy dtype",
    ),
    (lambda: pb.sample(IMAGE, COORDS, dtype=np.int64), TypeError, "sample: `dtype` is int64; supported are"),
    (
        lambda: pb.sample(IMAGE, COORDS, out=np.ones(4)),
        ValueError,
        r"sample: `out` has shape \(4,\) but the result has",
    ),
    (lambda: pb.sample(IMAGE, COORDS, out=[0.0] * 5), TypeError, "sample: `out` must be a writeable array"),
    (lambda: pb.sample(np.broadcast_to(np.ones(1), (2**30, 1)), COORDS), ValueError, "sides must be below"),
    (lambda: pb.sample(np.ones((0, 9)), COORDS, border="wrap"), ValueError, "sample: `image` has no samples"),
    (lambda: pb.gradient(IMAGE, COORDS, border="zeros"), ValueError, "gradient: `border` is 'zeros'"),
    (lambda: pb.warp(IMAGE, np.eye(3)), TypeError, r"wrap a matrix as pullback.Affine\(matrix\)"),
    (
        lambda: pb.warp(IMAGE, pb.Affine.identity(3)),
        ValueError,
        r"warp: `transform` is 3-D but `image` has shape \(8, 9\)",
    ),
    (lambda: pb.warp(IMAGE, TURN, (8,)), ValueError, r"warp: `shape` is \(8,\); give 2 lengths"),
    (lambda: pb.warp(IMAGE, TURN, (8, -1)), ValueError, "none of them negative"),
    (lambda: pb.warp(IMAGE, TURN, 5), TypeError, "warp: `shape` must hold one integer a spatial axis"),
    (lambda: pb.warp(np.ones((2, 1, 8, 9)), pb.Affine.rotation(np.ones(3))), ValueError, "`transform` has one of 3"),
    (lambda: pb.warp_vjp(IMAGE, TURN, np.ones(9)), ValueError, r"warp_vjp: `grad` has shape \(9,\)"),
    (lambda: pb.warp_vjp(IMAGE, TURN, np.ones((2, 8, 9))), ValueError, "warp_vjp: `grad` has shape"),
    (lambda: pb.sample_vjp(IMAGE, COORDS, np.ones(4)), ValueError, r"sample_vjp: `grad` has shape \(4,\)"),
    (lambda: pb.splat(np.ones(4), COORDS, (8, 9)), ValueError, r"splat: `values` of shape \(4,\) do not fit `coords`"),
    (lambda: pb.splat(np.ones(5), COORDS, (8,)), ValueError, r"splat: `shape` is \(8,\)"),
    (lambda: pb.explain(IMAGE, TURN, colour="red"), TypeError, "explain: unknown argument `colour`"),
    (lambda: pb.Affine.scaling(0.0, ndim=2).inverse(), ValueError, "inverse"),
]


@pytest.mark.parametrize(("call", "error", "message"), CASES, ids=[message[:50] for *_, message in CASES])
def test_refused(call, error, message):
    with pytest.raises(error, match=message):
        call()
    assert np.all(OUT == 7.0)


def test_unknown_names_of_the_package():
    with pytest.raises(AttributeError, match="no attribute 'wrap'"):
        _ = pb.wrap
