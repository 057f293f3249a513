"""What must hold of any call: the same bytes whatever memory held, no input touched, the numbers of plain copies."""

from __future__ import annotations

import warnings

import numpy as np
from memory import fresh_memory
from random_calls import Call

import pullback as pb
from pullback import _reference
from pullback.sampling.call import call_at, reading_of
from pullback.sampling.resizing import call_to

SMALL = ("uint8", "int8", "uint16", "int16")


def hold(call: Call, random: np.random.Generator) -> str:
    """Check that the properties hold of a call."""
    inputs, runs = frozen(call.arrays), []
    for byte in (0x55, 0xAA):
        pb.set_num_threads(int(random.integers(1, 4)))
        if call.out is not None:
            call.out[...] = (
                np.frombuffer(bytes([byte]) * 16, call.out.dtype, 1)[0] if call.out.dtype != bool else byte > 99
            )
        with fresh_memory(byte):
            results = attempt(call, call.arrays, call.out)
        runs.append(results if isinstance(results, type) else tuple((np.array(each), each) for each in results))
    first, second = runs
    if isinstance(first, type) or isinstance(second, type):
        assert first == second, f"{first} and then {second}"
    else:
        for k, ((one, _), (other, _)) in enumerate(zip(first, second, strict=True)):
            different = np.frombuffer(one.tobytes(), np.uint8) != np.frombuffer(other.tobytes(), np.uint8)
            assert not different.any(), (
                f"result {k} is not the same in two runs, or not written, from element "
                f"{int(np.argmax(different)) // one.itemsize} of {one.shape} on, {int(different.sum())} bytes"
            )
    assert frozen(call.arrays) == inputs, "an input was written to"
    copies = {name: plain(array) for name, array in call.arrays.items()}
    wanted = attempt(call, copies, None if call.out is None else np.zeros(call.out.shape, call.out.dtype))
    if isinstance(first, type) or isinstance(wanted, type):
        assert first is wanted, f"{first}, but {wanted} on plain copies"
        return "refused"
    fills = np.atleast_1d(np.asarray(call.options.get("fill", 0)))
    for k, ((found, _), right) in enumerate(zip(first, wanted, strict=True)):
        scale, tolerance = accuracy(call, found, right, fills)
        said = differences(found, right, scale, tolerance, rounded=not copies_samples(call))
        assert said is None, f"result {k}, on plain copies: {said}"
    against_reference(call, copies, wanted, fills)
    return call.function


def accuracy(call, found, right, fills):
    """Return the scale of the terms that make a result, and its relative accuracy."""
    arrays = [array for array in call.arrays.values() if isinstance(array, np.ndarray) and array.dtype != bool]
    scale = largest(*(call.arrays[name] for name in ("image", "values") if name in call.arrays), fills, right)
    if "grad" in call.arrays:
        scale *= largest(call.arrays["grad"]) * max(1, call.arrays["grad"].size) ** 0.5
    if call.function == "gradient" or "grad" in call.arrays:
        scale *= 10
    single = any(array.dtype.name in ("float32", "float16", "complex64", *SMALL) for array in arrays)
    half = found.dtype == np.float16
    return scale, 2e-3 if half else 3e-5 if single or found.dtype.itemsize <= 4 else 1e-11


def against_reference(call, arrays, wanted, fills):
    """Hold a small call in double precision, without frames, against the reference."""
    image = arrays.get("image")
    if call.function == "resize":
        resized_against_reference(call, image, arrays, wanted, fills)
        return
    fits = (
        call.function in ("sample", "gradient", "sample_vjp")
        and call.options["frame"] == "index"
        and "mask" not in arrays
        and image.dtype.name in ("float64", "complex128")
        and arrays["coords"].dtype == np.float64
        and wanted[0].size < 5000
        and np.isfinite(image).all()
        and "out" not in call.options
        and wanted[0].dtype == image.dtype
        # 0 times what is not finite hangs on rounding
        and (call.function == "sample" or (np.isfinite(arrays.get("grad", 0)).all() and np.isfinite(fills).all()))
    )
    if not fits:
        return
    options = {"fill": 0, **{name: value for name, value in call.options.items() if name != "dtype"}}
    options.pop("return_weight", None)
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        made = call_at(call.function, image, arrays["coords"], reading_of(**options))
        samples = made.image
        if any(made.plan.prefilter):
            if 0 in samples.shape:
                return
            samples = _reference.prefilter(samples, made.plan)
        reading = samples, made.geometry
        if call.function == "sample":
            rights = [made.restore(_reference.pull(*reading, made.lattice, made.plan))]
        elif call.function == "gradient":
            rights = [made.restore(_reference.gradient(*reading, made.lattice, made.plan))]
        else:
            grad = made.canonical(arrays["grad"])
            one, other = _reference.pull_vjp(*reading, grad, made.lattice, made.plan)
            if any(made.plan.prefilter):
                one = _reference.prefilter(one, made.plan, adjoint=True)
            rights = [made.restore_image(one), other.reshape(wanted[1].shape)]
    for k, (found, right) in enumerate(zip(wanted, rights, strict=True)):
        scale, _ = accuracy(call, found, right, fills)
        said = differences(found, np.asarray(right, found.dtype), scale, 1e-9)
        assert said is None, f"result {k}, in the reference: {said}"


def resized_against_reference(call, image, arrays, wanted, fills):
    """Hold an image in another size against the reference: in double precision, or of labels."""
    options = {"fill": 0, "shape": None, "scale": None, **call.options}
    is_label = options["interpolation"] == "label"
    is_double = image.dtype.name in ("float64", "complex128") and np.isfinite(image).all()
    if "mask" in arrays or not (is_double or is_label) or wanted[0].dtype != image.dtype or wanted[0].size > 5000:
        return
    if image.size > 20000 or not np.isfinite(fills).all():
        return
    names = options["interpolation"], options["border"] or "symmetric", options["fill"]
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        reading = reading_of(*names, "blend", options["channel_axis"], "index")
        sizes = options["shape"], options["scale"]
        made = call_to("resize", image, *sizes, reading, options["border"] is not None, options["antialias"])
        samples = _reference.prefilter(made.image, made.plan) if any(made.plan.prefilter) else made.image
        right = made.restore(_reference.resize(samples, made.lattice.shape, made.sizing(made.plan)))
    scale, _ = accuracy(call, wanted[0], right, fills)
    said = differences(wanted[0], np.asarray(right, wanted[0].dtype), scale, 1e-9)
    assert said is None, f"in the reference: {said}"


def plain(array):
    """Return a contiguous copy, in native byte order."""
    if not isinstance(array, np.ndarray):
        return array
    return np.array(array, array.dtype.newbyteorder("="), order="C", copy=True)


def attempt(call, arrays, out):
    """Return the results of a call, or the error that it says is the caller's."""
    try:
        return call.run(arrays, out)
    except (ValueError, TypeError) as error:
        if not str(error).startswith(f"{call.function}: "):
            raise
        return type(error)


def frozen(arrays):
    return {name: array.tobytes() for name, array in arrays.items() if isinstance(array, np.ndarray)}


def largest(*arrays):
    """Return the largest finite magnitude of all."""
    most = 1.0
    for array in arrays:
        if isinstance(array, np.ndarray) and array.size and array.dtype.kind != "b":
            with np.errstate(all="ignore"):
                magnitude = np.abs(array.astype(np.complex128))
            most = max(most, float(magnitude[np.isfinite(magnitude)].max(initial=0)))
    return most


def differences(found, wanted, scale, tolerance, rounded=False):
    """Say where results differ by more than rounding, or return None."""
    if found.shape != wanted.shape or found.dtype != wanted.dtype:
        return f"{found.dtype} {found.shape} in the place of {wanted.dtype} {wanted.shape}"
    if found.tobytes() == wanted.tobytes():
        return None
    if found.dtype.kind in "biu":
        wrong = found != wanted
        off = np.abs(found.astype(np.float64) - wanted.astype(np.float64))
        # a sum that lies between two integers may be rounded either way, and large ones have no digits left
        few = wrong.sum() <= 2 + 0.05 * wrong.size or scale > 2**45
        if rounded and few and off.max() <= 1 + (2**-20 if found.dtype.itemsize < 8 else 2**-45) * scale:
            return None
    else:
        parts = [(found.real, wanted.real), (found.imag, wanted.imag)] if found.dtype.kind == "c" else [(found, wanted)]
        wrong = np.zeros(found.shape, bool)
        for ours, theirs in parts:
            with np.errstate(all="ignore"):
                off = np.abs(ours.astype(np.float64) - theirs) > tolerance * scale
                wrong |= np.where(
                    np.isfinite(ours) & np.isfinite(theirs),
                    off,
                    ~((ours == theirs) | (np.isnan(ours) & np.isnan(theirs))),
                )
    if not wrong.any():
        return None
    at = tuple(int(i) for i in np.argwhere(wrong)[0])
    return f"{int(wrong.sum())} of {wrong.size} differ, the first at {at}: {found[at]!r} in the place of {wanted[at]!r}"


def copies_samples(call):
    """Whether results are samples as they are."""
    interpolation, antialias = call.options.get("interpolation"), call.options.get("antialias")
    return interpolation in ("nearest", "label") and not (antialias and call.function == "warp")
