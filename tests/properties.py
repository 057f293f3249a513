"""What must hold of any call: the same bytes whatever memory held, no input touched, the numbers of plain copies."""

from __future__ import annotations

import numpy as np
from memory import fresh_memory
from random_calls import Call
from truth import truth_of

import pullback as pb

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
    return call.function if against_truth(call, copies, wanted, fills) else f"{call.function} by itself"


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


def against_truth(call, arrays, results, fills):
    """Hold results against what they should be, where that can be told."""
    truths = truth_of(call, arrays)
    for k, (found, truth) in enumerate(zip(results, truths, strict=len(truths) > 0)):
        scale, _ = accuracy(call, found, truth.values, fills)
        said = distance_from_truth(found, truth, scale)
        assert said is None, f"result {k}, by the definition: {said}"
    return len(truths) > 0


def distance_from_truth(found, truth, scale):
    """Say where a result is not what it should be, or return None."""
    right = np.asarray(truth.values)
    if found.shape != right.shape:
        return f"shape {found.shape} in the place of {right.shape}"
    sure = np.broadcast_to(truth.is_sure, found.shape)
    pairs = [(found.real, right.real), (found.imag, right.imag)] if found.dtype.kind == "c" else [(found, right.real)]
    wrong = np.zeros(found.shape, bool)
    with np.errstate(all="ignore"):
        for ours, theirs in pairs:
            ours, theirs, off = ours.astype(np.float64), theirs.astype(np.float64), truth.accuracy * scale
            if found.dtype.kind in "biu":
                low, high = (0, 1) if found.dtype == bool else (np.iinfo(found.dtype).min, np.iinfo(found.dtype).max)
                theirs = np.clip(np.where(np.isnan(theirs), 0, theirs), low, high)
                wrong |= np.abs(ours - theirs) > 0.5 + off + 4 * np.finfo(np.float64).eps * np.abs(theirs)
                continue
            limits = np.finfo(found.dtype)
            # Within rounding of the largest number, infinity is as good.
            too_large = np.isfinite(theirs) & (np.abs(theirs) + off > 0.99 * float(limits.max))
            close = np.abs(ours - theirs) <= off + 4 * float(limits.eps) * np.abs(theirs) + float(limits.tiny)
            same = (ours == theirs) | (np.isnan(ours) & np.isnan(theirs))
            wrong |= ~(same | too_large | (close & np.isfinite(ours) & np.isfinite(theirs)))
    wrong &= sure
    if not wrong.any():
        return None
    at = tuple(int(i) for i in np.argwhere(wrong)[0])
    return f"{int(wrong.sum())} of {int(sure.sum())} differ, the first at {at}: {found[at]!r}, not {right[at]!r}"


def plain(array):
    """Return a contiguous copy, in native byte order; of arrays, of masks and of scalars of NumPy alike."""
    if isinstance(array, np.ma.MaskedArray):
        return np.ma.MaskedArray(plain(array.data), mask=plain(np.ma.getmaskarray(array)))
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
    return {name: np.asarray(array).tobytes() for name, array in arrays.items() if isinstance(array, np.ndarray)}


def largest(*arrays):
    """Return the largest finite magnitude of all."""
    most = 1.0
    for array in arrays:
        if isinstance(array, np.ndarray) and array.size and array.dtype.kind != "b":
            with np.errstate(all="ignore"):
                magnitude = np.abs(np.asarray(array).astype(np.complex128))
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
