"""The native module, whose callers are in backends/, refuses what it cannot read, whatever is handed to it."""

import numpy as np
import pytest
import torch

import pullback._native as _native
from pullback._plan import BORDERS, INTERPOLATIONS, LATTICES


def request(kind="affine", border="constant", lattice=(1, 4, 7), changes=()):
    entries = {
        "interpolation": [INTERPOLATIONS["linear"]] * 2,
        "parameter": [0.0] * 2,
        "border": [BORDERS[border]] * 2,
        "crop": False,
        "fill": [0.0],
        "kind": LATTICES[kind],
        "computed": False,
        "near": 0.0,
        "near_in_single": 0.0,
        "reversed": False,
        "lattice": lattice,
        "bfloat16": False,
        **{f"{name}_{side}": [float(name == "scale")] * 2 for name in ("scale", "offset") for side in ("in", "out")},
    }
    return _native.Request(**{**entries, **dict(changes)})


def arguments_of(name):
    """Return arguments that fit an entry point of the native module."""
    image, matrix = np.ones((1, 2, 5, 6), np.float32), np.eye(2, 3)[None]
    values, slopes = np.ones((1, 2, 1, 4, 7), np.float32), np.ones((1, 2, 1, 4, 7, 2), np.float32)
    best, winner = np.zeros((1, 1, 5, 6), np.float32), np.zeros((1, 1, 5, 6), np.int64)
    second = (image, matrix, np.ones_like(image), np.ones_like(matrix), values)
    return {
        "pull": (request(), image, matrix, values),
        "gradient": (request(), image, matrix, slopes),
        "push": (request(), values, matrix, image),
        "vjp": (request(), image, matrix, values, np.zeros_like(image), np.zeros_like(matrix)),
        "jvp": (request(), *second),
        "second": (request(), *second, np.zeros_like(image), np.zeros_like(matrix)),
        "normal": (request(), image, matrix, values, np.zeros((1, 25))),
        "winners": (request(), values[:, :1], matrix, best, winner),
        "solve": (np.arange(60.0).reshape(2, 5, 6), 3, BORDERS["edge"], False),
        "resample": (image[0], np.zeros(4, np.int64), np.ones((4, 2)), np.zeros((2, 4, 6), np.float32)),
    }[name]


# Which of its arguments each writes.
OUTPUTS = {
    "pull": (3,),
    "gradient": (3,),
    "push": (3,),
    "vjp": (4, 5),
    "jvp": (5,),
    "second": (6, 7),
    "normal": (4,),
    "winners": (3, 4),
    "solve": (0,),
    "resample": (3,),
}
every_call = pytest.mark.parametrize("name", OUTPUTS)


WRONG = {
    "no axes": lambda a: np.array(1.0),
    "an axis less": lambda a: a[..., 0],
    "an axis more": lambda a: a[..., None],
    "seven axes": lambda a: a.reshape(a.shape + (1,) * (7 - a.ndim)),
    "complex": lambda a: a.astype(np.complex64),
    "objects": lambda a: a.astype(object),
    "a list": lambda a: a.tolist(),
    "an empty tuple": lambda a: (),
}


@pytest.mark.parametrize("wrong", WRONG)
@every_call
def test_calls_refuse_arrays_of_another_form(name, wrong):
    arguments = arguments_of(name)
    getattr(_native, name)(*arguments)
    for position, argument in enumerate(arguments):
        if isinstance(argument, np.ndarray):
            replaced = [*arguments[:position], WRONG[wrong](argument), *arguments[position + 1 :]]
            with pytest.raises((ValueError, TypeError)):
                getattr(_native, name)(*replaced)


@pytest.mark.parametrize(("name", "position"), [("pull", 3), ("gradient", 3), ("push", 1), ("winners", 1)])
def test_leading_axes_of_one_point_may_be_left_out(name, position):
    whole, given = arguments_of(name), list(arguments_of(name))
    given[position] = given[position][:, :, 0]
    getattr(_native, name)(*whole)
    getattr(_native, name)(*given)
    for found, wanted in zip(given[1:], whole[1:], strict=True):
        np.testing.assert_array_equal(found.reshape(wanted.shape), wanted)


@every_call
def test_calls_write_to_no_read_only_array(name):
    for position in OUTPUTS[name]:
        arguments = arguments_of(name)
        arguments[position].flags.writeable = False
        with pytest.raises(TypeError):
            getattr(_native, name)(*arguments)


@pytest.mark.parametrize("border", [border for border in BORDERS if border != "constant"])
@pytest.mark.parametrize("side", [(0, 6), (5, 0)], ids=str)
@pytest.mark.parametrize("name", ["pull", "gradient", "push", "vjp", "jvp", "second", "normal", "winners"])
def test_calls_repeat_no_sample_of_an_image_without(name, side, border):
    arguments = [
        np.empty(a.shape[:2] + side, a.dtype) if isinstance(a, np.ndarray) and a.shape[2:] == (5, 6) else a
        for a in arguments_of(name)
    ]
    getattr(_native, name)(*arguments)
    with pytest.raises(ValueError, match="none for its border to repeat"):
        getattr(_native, name)(request(border=border), *arguments[1:])


@pytest.mark.parametrize("shape", [(1, 4, 5, 2), (1, 5, 4, 2), (2, 4, 4, 2)], ids=str)
def test_gradients_in_coefficients_have_their_shape(shape):
    _, image, _, values, grad_image, _ = arguments_of("vjp")
    coefficients = np.zeros((1, 4, 4, 2))
    arguments = request("free-form"), image, coefficients, values, grad_image
    _native.vjp(*arguments, np.zeros_like(coefficients))
    with pytest.raises(ValueError, match="does not fit the geometry"):
        _native.vjp(*arguments, np.zeros(shape))
    with pytest.raises(ValueError, match="does not fit the geometry"):
        _native.jvp(*arguments[:3], None, np.zeros(shape), values)


@pytest.mark.parametrize(
    "changes",
    [
        *({"interpolation": [1, code]} for code in (-1, len(INTERPOLATIONS), 2**31 - 1)),
        *({"border": [1, code]} for code in (-1, len(BORDERS))),
        *({"kind": code} for code in (-1, len(LATTICES))),
        *({"lattice": lattice} for lattice in ((4, 7), (1, -4, -7))),
        {"interpolation": []},
        {"fill": []},
    ],
    ids=str,
)
def test_requests_refuse_codes_that_are_none(changes):
    with pytest.raises(ValueError):
        request(changes=changes)


def test_calls_need_a_thread_and_a_table_on_the_axis():
    with pytest.raises(ValueError, match="a thread"):
        _native.set_num_threads(0)
    image, _, weight, out = arguments_of("resample")
    for start in (-1, 4, -(2**63), 2**63 - 1):
        with pytest.raises(ValueError, match="beyond the image"):
            _native.resample(image, np.full(4, start), weight, out)


def described(array):
    """Return an array as the native module takes it from libraries whose capsules are slow."""
    address = array.__array_interface__["data"][0] if array.size else 0
    strides = tuple(stride // array.itemsize for stride in array.strides)
    return address, array.shape, strides, _native.DTYPES[array.dtype.name]


@every_call
def test_calls_take_addresses_like_arrays(name):
    ours, theirs = arguments_of(name), arguments_of(name)
    getattr(_native, name)(*(described(a) if isinstance(a, np.ndarray) else a for a in ours))
    getattr(_native, name)(*theirs)
    for position in OUTPUTS[name]:
        np.testing.assert_array_equal(ours[position], theirs[position])
        assert (ours[position] != arguments_of(name)[position]).any()


@pytest.mark.parametrize("dtype", _native.DTYPES)
def test_dtypes_have_the_codes_of_arrays(dtype):
    image = np.arange(1, 7).reshape(1, 1, 2, 3)
    image = torch.from_numpy(image).to(getattr(torch, dtype))
    matrix, out = np.eye(2, 3)[None], np.zeros((1, 1, 1, 2, 3))
    given = image.data_ptr(), image.shape, image.stride(), _native.DTYPES[dtype]
    _native.pull(request(lattice=(1, 2, 3)), given, matrix, out)
    np.testing.assert_array_equal(out[:, :, 0], image.double())


TUPLES = {
    "three entries": lambda address, shape, strides, code: (address, shape, strides),
    "a negative code": lambda address, shape, strides, code: (address, shape, strides, -1),
    "a code too high": lambda address, shape, strides, code: (address, shape, strides, len(_native.DTYPES)),
    "no address": lambda address, shape, strides, code: (0, shape, strides, code),
    "an address of text": lambda address, shape, strides, code: ("0", shape, strides, code),
    "a stride less": lambda address, shape, strides, code: (address, shape, strides[1:], code),
    "a list of sides": lambda address, shape, strides, code: (address, list(shape), strides, code),
    "sides of text": lambda address, shape, strides, code: (address, ("1",) * len(shape), strides, code),
    "a side beyond 64 bits": lambda address, shape, strides, code: (address, (2**64, *shape[1:]), strides, code),
    "seven axes": lambda address, shape, strides, code: (address, (1,) * 7, (1,) * 7, code),
    "an axis more": lambda address, shape, strides, code: (address, (1, *shape), (1, *strides), code),
}


@pytest.mark.parametrize("wrong", TUPLES)
def test_calls_refuse_other_tuples(wrong):
    arguments = arguments_of("pull")
    given = TUPLES[wrong](*described(arguments[1]))
    with pytest.raises((ValueError, TypeError)):
        _native.pull(arguments[0], given, *arguments[2:])


def test_axes_of_the_lattice_that_are_1_long_may_be_left_out():
    _, image, matrix, _ = arguments_of("pull")
    points = np.random.default_rng(0).uniform(0, 4, (1, 1, 4, 7, 2)).astype(np.float32)
    for kind, geometry, short in (("affine", matrix, matrix), ("given", points, points[:, 0])):
        found, wanted = np.zeros((1, 2, 4, 7), np.float32), np.ones((1, 2, 1, 4, 7), np.float32)
        _native.pull(request(kind), image, short, found)
        _native.pull(request(kind), image, geometry, wanted)
        np.testing.assert_array_equal(found, wanted[:, :, 0])
    with pytest.raises(ValueError, match="values must have the axes"):
        _native.pull(request(lattice=(2, 4, 7)), image, matrix, found)
