"""Small faults, each of which some test must notice: what `make mutants` puts into copies of the tree.

A fault is a piece of text that occurs once in all of ``src/`` and ``native/``, wherever it has moved to, and what takes
its place. In ``native/`` both are expressions of one type. A fault that changes nothing that a caller can see has no
place here.
"""

# ruff: noqa: E501

from __future__ import annotations

from typing import NamedTuple


class Mutation(NamedTuple):
    """What is wrong, the text that was there, and the one that is now."""

    fault: str
    before: str
    after: str


MUTATIONS = [
    Mutation(*row)
    for row in (
        # The ground
        (
            "a list of choices may hold one too many",
            '    if len(spread) != ndim:\n        raise ValueError(\n            f"{function}: `{argument}` has {len(spread)}',
            '    if len(spread) < ndim:\n        raise ValueError(\n            f"{function}: `{argument}` has {len(spread)}',
        ),
        ("channels beyond the spatial axes", "if extra not in (1, 2) or after > ndim:", "if extra not in (1, 2):"),
        (
            "complex fill for a real image",
            'if kind_of(dtype) != "complex" and any(',
            'if kind_of(dtype) == "none" and any(',
        ),
        ("labels read into another dtype", "if dtype == image:\n        return\n", "if True:\n        return\n"),
        (
            "an image of 5 channels last is likely",
            "shape[-1] <= 16 and all(4 * shape",
            "shape[-1] <= 4 and all(4 * shape",
        ),
        ("0.0 and -0.0 share a plan", 'return kind, struct.pack("d", value)', "return kind, value"),
        ("caches forget the newest", "oldest = next(iter(self.sizes))", "oldest = next(reversed(self.sizes))"),
        ("what is cached is not counted", "return _BYTES_AN_OBJECT + size\n", "return _BYTES_AN_OBJECT\n"),
        (
            "sums of 32-bit integers in single precision",
            '*(DType(name, "integer", "float64") for name in ("int32", "int64")),',
            '*(DType(name, "integer", "float32") for name in ("int32", "int64")),',
        ),
        (
            "the border of resized splines repeats its edge",
            "return (2 * n - 1 - abs(2 * (k % (2 * n)) - (2 * n - 1))) // 2",
            "return k.clip(0, n - 1)",
        ),
        (
            "channels before the lattice of a result",
            "return int(batch) + lattice_ndim - after",
            "return int(batch) + max(lattice_ndim - after, 0) if after else int(batch)",
        ),
        (
            "tensors of two dtypes in the narrower one",
            "torch.promote_types(dtype, tensor.dtype)\n    return dtype or",
            "tensor.dtype\n    return dtype or",
        ),
        ("the sum over a shared batch is forgotten", "else grad.sum(0, keepdims=True)", "else grad[:1]"),
        (
            "the curvature of a quotient",
            "- 2 * terms[1] * b[1] - terms[0] * b[2]",
            "- terms[1] * b[1] - terms[0] * b[2]",
        ),
        (
            "values larger than a quarter of the cache are kept",
            "        if size > MOST_BYTES // 4:\n            return\n",
            "",
        ),
        ("caches without a bound", "while self.bytes > MOST_BYTES:", "while False:"),
        ("a fork keeps the lock of the cache", "os.register_at_fork(after_in_child=_memory.begin_in_child)", "pass"),
        (
            "a normalized frame without its edge",
            "return Frame(tuple(n / 2 for n in shape), middle)",
            "return Frame(middle, middle)",
        ),
        (
            "a side of one pixel as an image",
            "tuple(m or float(output) for m in middle)",
            "tuple(m or 1.0 for m in middle)",
        ),
        (
            "a centered frame by its longest side",
            "max(min(shape), 1) / 2,) * len(shape)",
            "max(max(shape), 1) / 2,) * len(shape)",
        ),
        (
            "the channel axis of a shape is the first",
            "spatial.pop(len(shape) - 1 - self.after_channel)",
            "spatial.pop(0)",
        ),
        (
            "reflection with a period too long",
            "last - abs(k % max(2 * last, 1) - last)",
            "last - abs(k % max(2 * last + 1, 1) - last)",
        ),
        (
            "one long side is enough to warn of",
            "all(4 * shape[-1] <= side for side",
            "any(4 * shape[-1] <= side for side",
        ),
        ("weights above 1", "not bool(((array >= 0) & (array <= 1)).all())", "not bool((array >= 0).all())"),
        # Sampling
        (
            "signed weights count as covered",
            "_LEAST_COVERAGE_OF_SIGNED_WEIGHTS = 0.1",
            "_LEAST_COVERAGE_OF_SIGNED_WEIGHTS = 1e-4",
        ),
        (
            "the mean has the coverage's sign in its gradient",
            "_sum_to(-(np.conj(share) * values).real, coverage.shape)",
            "_sum_to((np.conj(share) * values).real, coverage.shape)",
        ),
        ("complex values in the gradient of a mean", "-(np.conj(share) * values).real", "-(share * values).real"),
        (
            "a mask shared by channels",
            "if n == 1 != array.shape[axis])",
            "if n == 1 != array.shape[axis] and axis > 1)",
        ),
        (
            "half-precision importance",
            "if importance.dtype not in (xp.float32, xp.float64):",
            "if importance.dtype in ():",
        ),
        (
            "importance of -inf",
            "return xp.where(importance > -np.inf, importance,",
            "return xp.where(importance >= -np.inf, importance,",
        ),
        (
            "bands of importance overlap",
            "height = like(xp.where(within, importance - _BAND * b, 0), values, real)",
            "height = like(xp.where(within, importance, 0), values, real)",
        ),
        (
            "a splat of a spline without the filter",
            "return self.backend.prefilter(image, self.plan, adjoint=True) if any(self.plan.prefilter) else image",
            "return image",
        ),
        (
            "splats of halves come back in single precision",
            "keeps = is_tensor(self.values) and dtype.is_floating_point",
            "keeps = False",
        ),
        (
            "of two nearest samples the earlier one",
            "(2 * np.arange(n_out, dtype=np.int64) + 1) * n_in // (2 * n_out)",
            "((2 * np.arange(n_out, dtype=np.int64) + 1) * n_in - 1) // (2 * n_out)",
        ),
        ("out may overlap the image", "call = call.apart_from(out)", "pass"),
        (
            "gradients of splines lack the filter",
            "grad_image = call.backend.prefilter(grad_image, call.plan, adjoint=True)",
            "pass",
        ),
        (
            "weights are taken for booleans",
            "graded = weight.dtype != (np.bool_ if xp is np else xp.bool)",
            "graded = False",
        ),
        ("the last mask alone counts", "known = each if known is None else known * each", "known = each"),
        ("softmax without weights", "share = share if self.weight is None else share * self.weight", "share = share"),
        (
            "samples that a lower band reaches first",
            "highest = xp.where((shares > 0) & (highest == -np.inf), b, highest)",
            "pass",
        ),
        (
            "enlarging shrinks the kernel",
            "stretch = max(n_in / n_out, 1.0) if antialias",
            "stretch = n_in / n_out if antialias",
        ),
        (
            "resizing samples at corners",
            "position = (2 * row + 1) * n_in / (2 * n_out) - 0.5",
            "position = row * n_in / n_out",
        ),
        (
            "tables of resizing can be spoiled",
            "        if array is not None:\n            array.setflags(write=False)\n    return table",
            "        pass\n    return table",
        ),
        (
            "the same size is the same memory",
            "return image if image is not source else image.clone() if is_tensor(image) else image.copy()",
            "return image",
        ),
        ("resizing rounds between the axes", "table.weight, dtype if is_end else between)", "table.weight, dtype)"),
        (
            "weights of complex images are complex",
            "return image.real.dtype if is_complex else backend.sum_dtype(image.dtype)",
            "return backend.sum_dtype(image.dtype)",
        ),
        (
            "weights at the edge of a resized image do not add up",
            "weight /= (weight if rule else weight * inside).sum(1, keepdims=True)",
            "weight /= weight.sum(1, keepdims=True)",
        ),
        (
            "the fill beyond a resized image",
            "beyond[rows] = np.where(inside, 0, weight).sum(1)",
            "beyond[rows] = np.where(inside, weight, 0).sum(1)",
        ),
        (
            "areas that begin within a sample",
            "np.clip(edge, begin[:, None], end[:, None], out=edge)",
            "np.clip(edge, None, end[:, None], out=edge)",
        ),
        (
            "means of integers that single precision cannot hold",
            "if is_mean and _largest_sum(image, shape) > _EXACT:",
            "if is_mean and _largest_sum(image, shape) < 0:",
        ),
        (
            "votes beyond a constant border",
            "            plane[(slice(None),) * axis + (like(beyond, plane),)] = fill\n",
            "            pass\n",
        ),
        (
            "of equal labels the one of the larger weight alone",
            "before = before.cummax(-1).values if is_tensor(before) else np.maximum.accumulate(before, -1)",
            "before = 0 * before",
        ),
        (
            "everything is covered",
            "return ~(coverage <= least_coverage(call.plan))",
            "return ~(coverage <= -1)",
        ),
        # Warping
        ("a footprint of an infinite Jacobian", "    if not np.isfinite(jacobian).all():\n        return point\n", ""),
        ("a footprint beyond double precision", "    if not np.isfinite(s).all():\n        return point\n", ""),
        (
            "steps of a footprint in the wrong frame",
            "shift = np.divide(footprint.shift, scale, out",
            "shift = np.divide(footprint.shift, 1.0, out",
        ),
        (
            "footprints of a reversed frame",
            "shift = shift[..., ::-1] if self.lattice.reversed else shift",
            "shift = shift",
        ),
        (
            "whole numbers of a footprint are rounded up",
            "np.ceil(s - _PRECISION), 1)))",
            "np.ceil(s + _PRECISION), 1)))",
        ),
        ("labels are averaged over a footprint", '    _check.mixing(call.function, call.plan, "`antialias`")\n', ""),
        ("off-diagonal blocks of normal equations", "for p, q in ((a, b), (b, a)):", "for p, q in ((a, b),):"),
        (
            "normal equations of another frame",
            'chain = np.einsum("ra,bc->rcab", to_image, to_output)',
            'chain = np.einsum("ra,cb->rcab", to_image, to_output)',
        ),
        (
            "footprints of a reversed matrix",
            "linear = matrix[..., ::-1, -2::-1] if call.lattice.reversed",
            "linear = matrix[..., :-1] if call.lattice.reversed",
        ),
        (
            "as many channels as transforms are likely",
            "is_tracing() or not (unsaid and transforms and channels == transforms[0] > 1)",
            "True",
        ),
        (
            "normal equations where points are reversed",
            "turn = np.eye(d + 1)[[*range(d)[::-1], d]] if turned else np.eye(d + 1)",
            "turn = np.eye(d + 1)",
        ),
        # Backends
        ("bfloat16 is taken for uint16", "if np.uint16 in (image.dtype, out.dtype):\n", "if False:\n"),
        (
            "a target of bfloat16 in normal equations",
            "if bfloat16 and np.uint16 in (part.dtype, wanted.dtype):",
            "if False:",
        ),
        (
            "the imaginary part of a real image is not written",
            '    if image.dtype.kind != "c":\n        out.imag = 0\n',
            "",
        ),
        (
            "a lattice of four axes is not copied back",
            "        target[...] = values.reshape(out.shape)\n",
            "        pass\n",
        ),
        (
            "values of channels last are channels first",
            "return np.moveaxis(np.empty((batch, *lattice, channels), dtype), -1, 1)",
            "return np.moveaxis(np.empty((batch, *lattice, channels), dtype), -1, 1).copy()",
        ),
        (
            "a shared batch of values to push",
            "    values = np.broadcast_to(values, (_batch(values, geometry), *values.shape[1:]))\n",
            "",
        ),
        (
            "complex gradients in the geometry",
            "grad_geometry = grad_points if grad_geometry is None else grad_geometry + grad_points",
            "grad_geometry = grad_points",
        ),
        (
            "integers are cut off where they should be rounded",
            "_native.resample(lines, same, np.ones((1, 1)), rounded.reshape(1, 1, -1))",
            "rounded.reshape(-1)[...] = lines.reshape(-1)",
        ),
        (
            "coordinates of float16 in double precision",
            'array.dtype.kind == "f" and array.dtype.itemsize <= 4',
            'array.dtype.kind == "f" and array.dtype.itemsize == 4',
        ),
        (
            "strided rows are merged",
            "strides[i] == shape[i + 1] * strides[i + 1]",
            "strides[i] >= shape[i + 1] * strides[i + 1]",
        ),
        ("spline coefficients keep the fill out", "        coefficients += shift\n", "        pass\n"),
        (
            "the operator forgets the other component of a fill",
            'return value if "j" in text else value.real',
            "return value.real",
        ),
        (
            "the second order of the cotangent",
            "on_grad = jvp(*call, ctx.shape, ctx.code).to(grad.dtype)",
            "on_grad = 0 * jvp(*call, ctx.shape, ctx.reading).to(grad.dtype)",
        ),
        (
            "the derivative of a scatter sees the fill",
            "    code = without_fill(ctx.code)\n",
            "    code = ctx.code\n",
        ),
        ("composite: half-way between samples", "is_right = fraction >= 0.5", "is_right = fraction > 0.5"),
        ("composite: a NaN of weight zero spreads", "tap.inside & (sample.isfinite() | (weight != 0))", "tap.inside"),
        ("composite: the fill has its whole share", "return torch.where(insides.all(0), total, kept)", "return kept"),
        (
            "composite: of equal labels the larger",
            "(sample < winner)))\n        winner, most = torch.where",
            "(sample > winner)))\n        winner, most = torch.where",
        ),
        ("composite: saturation one too high", "below = rounded < float(high)", "below = rounded <= float(high)"),
        (
            "composite: one image for a whole batch",
            "    if shape[0] == 1:\n        image = image.sum(0, keepdim=True)\n",
            "    if shape[0] == 1:\n        image = image[:1]\n",
        ),
        ("composite: the last point wins", 'point[wins], "amin")', 'point[wins], "amax")'),
        ("bfloat16 into uint16", "            bfloat16 = out.dtype != np.uint16\n", "            pass\n"),
        ("bfloat16 as it comes", "return array.view(np.uint16) if _is_bfloat16(array) else array", "return array"),
        (
            "composite: one side of a horizon",
            "return (denominator > 0) & (origin > 0) | (denominator < 0) & (origin < 0)",
            "return denominator > 0",
        ),
        # Transforms
        (
            "a field is read half a sample away",
            "places = (index + 0.5) * factor + (self._margin - 1) / 2",
            "places = index * factor + (self._margin - 1) / 2",
        ),
        (
            "slopes of a field in samples of its lattice",
            "return places, tuple(cell * unit for cell, unit in zip(cells, scale, strict=True))",
            "return places, tuple(unit for cell, unit in zip(cells, scale, strict=True))",
        ),
        (
            "the slopes of a field are not turned back",
            "return eye_like(points) + (namespace(slope).flip(slope, (-1,)) if is_reversed(frame) else slope)",
            "return eye_like(points) + slope",
        ),
        (
            "a flow that a caller can spoil",
            "            kept = kept[...]  # a view, which no one can make writeable again\n",
            "",
        ),
        ("the transposed squaring forgets what moves", "return grad + on_read + on_moved", "return grad + on_read"),
        (
            "a flow is integrated in half precision",
            "low = is_tensor(field) and field.dtype.itemsize < 4",
            "low = False",
        ),
        (
            "with_parameters loses the steps",
            "return type(self)(parameters, self.steps)",
            "return type(self)(parameters)",
        ),
        (
            "a flow in units of the output's longest side",
            "return tuple(n / count / unit for n, count, unit in zip(shape, self.shape, scale, strict=True))",
            "return tuple(max(shape) / count / unit for n, count, unit in zip(shape, self.shape, scale, strict=True))",
        ),
        ("mixed second differences are left out", "else steps[axis] if axis in (first, second) else None", "else None"),
        ("the energy of a spline in other units", "(_BILAPLACIAN[ndim] * unit ** (ndim - 4))", "_BILAPLACIAN[ndim]"),
        (
            "two control points almost in one place",
            "if squared[first, second] <= 1e-20 * np.max(np.var(points, 0)):",
            "if squared[first, second] < 0:",
        ),
        ("the kept basis of a spline can be spoiled", "    basis.setflags(write=False)\n", ""),
        (
            "a chain differentiated in the order of calls",
            "for part, place in zip(self.transforms, reversed(places), strict=True):",
            "for part, place in zip(self.transforms, places, strict=True):",
        ),
        (
            "the inverse of a chain in the same order",
            "Chain.of(*(part.inverse() for part in reversed(self.transforms)))",
            "Chain.of(*(part.inverse() for part in self.transforms))",
        ),
        (
            "a homogeneous matrix keeps its last number",
            "return cls._holding(matrix[..., :-1, :] / matrix[..., -1:, -1:])",
            "return cls._holding(matrix[..., :-1, :])",
        ),
        (
            "half-precision matrices are inverted as they are",
            "if is_tensor(matrix) and matrix.dtype.itemsize < 4:\n            matrix = matrix.float()\n        linear",
            "if False:\n            matrix = matrix.float()\n        linear",
        ),
        (
            "nearly singular matrices have inverses",
            "singular = ~(condition * precision < 0.1)",
            "singular = ~(condition * precision < 1e9)",
        ),
        (
            "a mirror image is taken for a turn",
            "sign = np.where(np.linalg.det(u) * np.linalg.det(v) < 0, -1.0, 1.0)",
            "sign = np.ones(len(u))",
        ),
        (
            "weights of a fitted scale",
            "scale = (rotation * covariance).sum((1, 2)) / (pairs.weight[..., None] * source**2).sum((1, 2))",
            "scale = (rotation * covariance).sum((1, 2)) / (source**2).mean(1).sum(1)",
        ),
        ("pairs of weight zero count", "counts = (self.weight > 0).sum(1)", "counts = (self.weight >= 0).sum(1)"),
        ("a homography fitted to equations alone", "    matrix = _refined(matrix, source, target, root)\n", ""),
        ("parameters that a caller can change", "            parameters.setflags(write=False)\n", "            pass\n"),
        (
            "the inverse of a similarity keeps its offset",
            "-turn, -scale[..., None] * apply_linear(rotation_matrix(-turn), offset)",
            "-turn, -offset",
        ),
        (
            "turns that follow each other",
            "cosine = cosine_a * cosine_b - (a * b).sum(-1)",
            "cosine = cosine_a * cosine_b",
        ),
        ("a kept flow that a caller can write to", "            kept.setflags(write=False)\n", "            pass\n"),
        # Networks
        (
            "an area of zero",
            "_mean(determinant.abs().clamp(min=smallest).log().square(), transform)",
            "_mean(determinant.abs().log().square(), transform)",
        ),
        (
            "bending energy for a step of one",
            "return torch.diff(values, dim=axis) / step",
            "return torch.diff(values, dim=axis)",
        ),
        (
            "bending next to a horizon",
            "return known.narrow(axis, 0, count) & known.narrow(axis, 1, count)",
            "return known.narrow(axis, 0, count)",
        ),
        (
            "overhang in units of the output",
            '_check.resized("overhang", shape if input_shape is None else input_shape)',
            '_check.resized("overhang", shape)',
        ),
        (
            "limits of a scale's lower side",
            "low * torch.tanh(raw / low)).exp()",
            "high * torch.tanh(raw / high)).exp()",
        ),
        ("degrees for radians", "else math.radians(degrees)", "else float(degrees)"),
        ("shear below the diagonal", "            above = column > row\n", "            above = column < row\n"),
        (
            "control points of a square output",
            "np.linspace(-1, 1, control) * (side / min(shape)) for side in shape",
            "np.linspace(-1, 1, control) for side in shape",
        ),
        (
            "velocities in samples of the output",
            "_on_lattice(_displaced(raw, limit), lattice, len(shape)) * (lattice / 2)",
            "_on_lattice(_displaced(raw, limit), lattice, len(shape))",
        ),
        (
            "heads are computed in half precision",
            "dtype = torch.promote_types(self.weight.dtype, torch.float32)",
            "dtype = self.weight.dtype",
        ),
        ("a lazy head starts with noise", "        nn.init.zeros_(self.bias)\n", "        pass\n"),
        (
            "each head looks through the first one's transform",
            "found = [self.head(look, shape)[own] for own, look in enumerate(looks)]",
            "found = [self.head(look, shape)[0] for own, look in enumerate(looks)]",
        ),
        (
            "further looks of another form",
            'coords = transform((points * (extent / own))[None], shape=shape, frame="centered")',
            'coords = transform(points[None], shape=shape, frame="centered")',
        ),
        (
            "a background is looked at in every call",
            "        self._background_is_known = True\n        borders",
            "        borders",
        ),
        (
            "tiles of an output of another form",
            "matrix[axis, axis] = half[axis] / along / seen[axis]",
            "matrix[axis, axis] = half[axis] / along",
        ),
        (
            "the last cell of a pooled image reaches beyond it",
            ".clamp(max=side) for side in sides]",
            "for side in sides]",
        ),
        (
            "spatial softmax in half precision",
            "weight = heat.flatten(2).to(torch.promote_types(heat.dtype, torch.float32)).softmax(2)",
            "weight = heat.flatten(2).softmax(2)",
        ),
        ("shared parameters in both groups", "[p for p in parameters if id(p) not in localization]", "parameters"),
        ("overhang of what is inside", "(at.abs() - half).clamp(min=0)", "(at.abs() - half)"),
        # Doors
        ("rotations by more than a turn", "turn = math.fmod(abs(degrees), 360.0)", "turn = abs(degrees) % 180.0"),
        ("the rotated image is one sample too small", "axis=1) + 0.5).astype(int)", "axis=1)).astype(int)"),
        (
            "more than three axes are rotated one by one",
            "    if target is not values:\n        values[...] = target.reshape(values.shape)\n",
            "",
        ),
        (
            "the period of wrap",
            'period = {"wrap": side - 1, "mirror": 2 * side - 2}.get(mode, 2 * side)',
            'period = {"wrap": side, "mirror": 2 * side - 2}.get(mode, 2 * side)',
        ),
        (
            "negative halves are rounded up",
            'values += 0.5 if dtype.kind == "u" else np.copysign(0.5, values)',
            "values += 0.5",
        ),
        ("saturation of 64-bit integers", "    result[too_large] = limits.max\n", ""),
        (
            "an output that overlaps the input",
            "or np.may_share_memory(image, output):",
            "or False:",
        ),
        (
            "fractions of a fixed-point map change places",
            "planes[0] += (digits >> 5 & 31).astype(np.float32) / 32",
            "planes[0] += (digits & 31).astype(np.float32) / 32",
        ),
        (
            "relative maps by row",
            "planes[0] += np.arange(self.shape[0])[rows, None]",
            "planes[0] += np.arange(self.shape[0])[: len(planes[0]), None]",
        ),
        (
            "a border value for other channels",
            "scalar = np.resize(np.concatenate([scalar, np.zeros(max(4 - len(scalar), 0))]), channels)",
            "scalar = np.resize(scalar, channels)",
        ),
        ("the nearest of two samples in warpAffine", "and meets_halves(matrix):", "and not meets_halves(matrix):"),
        (
            "a transparent border keeps a trace",
            "np.abs(1 - share) > 16 * np.finfo(dtype).eps",
            "np.abs(1 - share) >= 0",
        ),
        (
            "a destination that is the source",
            "    if np.may_share_memory(image, out):\n        image = image.copy()\n",
            "",
        ),
        ("a border value for more channels is not warned of", "if 1 < len(scalar) < 4 < channels:", "if False:"),
        (
            "the largest 64-bit integer",
            "too_large = values >= float(limits.max)",
            "too_large = values > float(limits.max)",
        ),
        # Training
        (
            "the last short batch is divided by the size of a whole one",
            "return min(size, self.pictures - index * size)",
            "return size",
        ),
        ("hidden folders are classes", 'if path.is_dir() and not path.name.startswith(".")]', "if path.is_dir()]"),
        (
            "class 10 comes before class 2",
            "key=lambda name: (not name.isdecimal(), int(name) if name.isdecimal() else 0, name)",
            "key=lambda name: name",
        ),
        ("a stratified split by rounding down", "    quota[largest_remainders[: for_test - quota.sum()]] += 1\n", ""),
        ("an IDX file that is too long", "if len(values) != expected:", "if len(values) < expected:"),
        (
            "a picture of one pixel more",
            "k = max(1, -(-max(height, width) // side))",
            "k = max(1, max(height, width) // side)",
        ),
        (
            "transparent colours bleed",
            "return np.concatenate([values[..., :-1] * (values[..., -1:] / opaque), values[..., -1:]], -1)",
            "return values",
        ),
        ("training and testing share random numbers", "TRAINING, TESTING = 1, 2", "TRAINING, TESTING = 1, 1"),
        (
            "placed within one side alone",
            "lowest, highest = -1 - reached.amin(1), 1 - reached.amax(1)",
            "lowest, highest = -1 - reached.amin(1), -1 - reached.amin(1)",
        ),
        (
            "corners that cross",
            "    return (edge[..., 1] * following[..., 0] - edge[..., 0] * following[..., 1] > 0).all(1)",
            "    return (edge[..., 1] * following[..., 0] - edge[..., 0] * following[..., 1] > 0).any(1)",
        ),
        ("clutter is laid over itself", "return (canvases + laid).clamp(max=1)", "return canvases + laid"),
        (
            "overlaps are shares of one box",
            "return (shared / (2 * (2 * SIDE / CANVAS) ** 2 - shared)).double().numpy()",
            "return (shared / (2 * SIDE / CANVAS) ** 2).double().numpy()",
        ),
        (
            "confusions are counted the other way round",
            "torch.bincount(batches.labels * classes + predicted, minlength",
            "torch.bincount(predicted * classes + batches.labels, minlength",
        ),
        (
            "a failed training leaves its folder",
            '        except BaseException:\n            for folder in (path / "checkpoints", *made):\n                if folder.is_dir():\n                    folder.rmdir()\n            raise\n',
            "        except BaseException:\n            raise\n",
        ),
        (
            "networks of another size",
            "return min((max(1, widest - 1), widest), key=lambda width: abs(excess(width)))",
            "return widest",
        ),
        (
            "the learning rate of localization networks",
            "settings.learning_rate, settings.localization_scale)",
            "settings.learning_rate, 1.0)",
        ),
        (
            "16-bit pictures are as bright as 8-bit ones",
            "white = int(np.iinfo(picture.dtype).max) if unsigned",
            "white = 255 if unsigned",
        ),
        # The command line
        (
            "pictures are moved the wrong way",
            "Translation([-m - t for m, t in zip(new_middle, translate, strict=True)])",
            "Translation([-m + t for m, t in zip(new_middle, translate, strict=True)])",
        ),
        ("pictures of one name overwrite each other", "    while name in taken:\n", "    while False:\n"),
        ("shrunk pictures are picked from", 'antialias=scale < 1 and interpolation != "nearest",', "antialias=False,"),
        # The kernels
        (
            "native: reflection repeats the edge",
            "there < n ? there : 2 * (n - 1) - there",
            "there < n ? there : 2 * n - 1 - there",
        ),
        (
            "native: symmetry leaves the edge out",
            "there < n ? there : 2 * n - 1 - there",
            "there < n ? there : 2 * (n - 1) - there",
        ),
        ("native: negative taps of a period", "k < 0 ? k + period : k", "k < 0 ? -k : k"),
        ("native: the nearest sample beyond an image", "up < n ? up : n - 1", "up < n ? up : 0"),
        ("native: taps of weight zero receive", "f == 0 ? f : w[c] * f", "w[c] * f"),
        (
            "native: the far end of a crop",
            "(floor[i] == size - 1) & (fraction[i] > near)",
            "(floor[i] == size - 1) & (fraction[i] > Real(2))",
        ),
        (
            "native: coordinates too far to read",
            "(floor[i] <= -void_index) | (floor[i] >= void_index)",
            "(floor[i] <= -void_index) | (floor[i] >= void_index + 1)",
        ),
        (
            "native: fill beside the image",
            "all_inside[e] ? Real(1) : kept[d][e]",
            "all_inside[e] ? kept[d][e] : kept[d][e]",
        ),
        (
            "native: slopes of the fill",
            "all_inside[e] ? Real(0) : kept_slope[d][e]",
            "all_inside[e] ? Real(0) : Real(0)",
        ),
        ("native: the fill of the first channel", "call.fill[call.fill_count == 1 ? 0 : channel]", "call.fill[0]"),
        (
            "native: a scaled cotangent of positions",
            "static_cast<C>(scale * x_bar[d][first + i])",
            "static_cast<C>(x_bar[d][first + i])",
        ),
        (
            "native: the denominator's share of a projective gradient",
            "sum += row_bar[d][i] * x",
            "sum += row_bar[d][i]",
        ),
        ("native: the last cell of a free-form lattice", "floor < last ? floor : last", "floor"),
        ("native: the transposed filter", "at(i - 2, i)", "at(i, i - 2)"),
        (
            "native: the periodic start of a filter",
            "data + index_of((step % n + n) % n) * stride",
            "data + index_of(0) * stride",
        ),
        ("native: half-way into a vector of a resized line", "table.first[i] + table.taps - 1", "table.first[i]"),
        ("native: the middle of a moving weight", "w_dot[c] * f + w[c] * f_dot", "w[c] * f_dot"),
        ("native: a mixed second derivative", "dot * factor + value * factor_dot", "value * factor_dot"),
        (
            "native: values of the other half of a band",
            "row + 1 >= band.begin && row + 1 < band.end",
            "row >= band.begin && row + 1 < band.end",
        ),
        (
            "native: off-diagonal moments of normal equations",
            "origin(e) * origin(f) * moment[D][D]",
            "origin(e) * moment[D][D]",
        ),
    )
]
