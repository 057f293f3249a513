"""Ratios against the peers, measured in one process: rounds of short bursts, each peer in turn, medians of all calls.

    python benchmarks/bench.py [NAME ...] [--threads 1 2] [--rounds 15] [--write]

A ratio is the peer's time over this library's, both as a user calls them, with the allocation of the result. With
names, only workloads whose title contains one of them are run. `--write` puts the table into benchmarks/results.md.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import cv2
import numpy as np
import PIL.Image
import scipy.ndimage
import torch
import torch.nn.functional as F
from measuring import OURS, machine, measure, set_threads, write_section, xy

import pullback as pb
from pullback.train import models

ANGLE, ZOOM = 0.4, 0.6  # of the maps, in radians and samples a pixel: turned, and everywhere inside the image


@dataclass(frozen=True)
class Workload:
    """What is measured: one callable for this library and one a peer, and the ratio that each peer must reach.

    What is `part_of` another workload, measured before, is told as a share of that as well.
    """

    title: str
    calls: dict[str, Callable[[], object]]
    aims: dict[str, float]
    part_of: str | None = None


def turned(shape: tuple[int, ...]) -> np.ndarray:
    """Return a d x (d + 1) matrix that turns the last two axes and zooms about the middle of an image."""
    ndim = len(shape)
    linear = ZOOM * np.eye(ndim)
    linear[-2:, -2:] = ZOOM * np.array([[np.cos(ANGLE), np.sin(ANGLE)], [-np.sin(ANGLE), np.cos(ANGLE)]])
    middle = (np.array(shape) - 1) / 2
    return np.concatenate([linear, (middle - linear @ middle)[:, None]], axis=1)


def photograph(*shape: int) -> np.ndarray:
    """Return a smooth image in float32, between 0 and 1."""
    *_, y, x = np.meshgrid(*(np.linspace(0, 1, n, dtype=np.float32) for n in shape), indexing="ij", sparse=True)
    return np.ascontiguousarray(np.broadcast_to(0.5 + 0.25 * (np.sin(40 * x * y) + np.cos(90 * (x - y) ** 2)), shape))


def in_colour(image: np.ndarray) -> np.ndarray:
    """Return an image of three channels, last."""
    return np.ascontiguousarray(np.stack([image, image.T, image[::-1]], axis=-1))


def as_bytes(image: np.ndarray) -> np.ndarray:
    return np.rint(255 * image).astype(np.uint8)


def torch_warp(image: np.ndarray, matrix: np.ndarray, mode: str = "bilinear") -> Callable[[], object]:
    """Return the warp of a 2-D image in PyTorch, by its matrix in normalised coordinates."""
    tensor = torch.from_numpy(image)[None, None]
    theta = torch.from_numpy(xy(matrix)[:, :2]).float()
    theta = torch.cat([theta, torch.zeros(2, 1)], dim=1)[None]  # about the middle, as `turned` does

    def call() -> object:
        grid = F.affine_grid(theta, list(tensor.shape), align_corners=False)
        return F.grid_sample(tensor, grid, mode=mode, align_corners=False)

    return call


def cv2_warp(image: np.ndarray, matrix: np.ndarray, interpolation: int = cv2.INTER_LINEAR) -> Callable[[], object]:
    size, flags = image.shape[1::-1], interpolation | cv2.WARP_INVERSE_MAP
    return lambda: cv2.warpAffine(image, xy(matrix), size, flags=flags)


def scipy_warp(image: np.ndarray, matrix: np.ndarray, order: int, mode: str = "grid-constant") -> Callable[[], object]:
    return lambda: scipy.ndimage.affine_transform(image, matrix[:, :-1], matrix[:, -1], order=order, mode=mode)


SIDE = 2048


def large_affine() -> Workload:
    image, matrix = photograph(SIDE, SIDE), turned((SIDE, SIDE))
    transform = pb.Affine(matrix)
    return Workload(
        "affine, bilinear, float32, 2048 x 2048",
        {
            OURS: lambda: pb.warp(image, transform),
            "OpenCV warpAffine": cv2_warp(image, matrix),
            "torch affine_grid + grid_sample": torch_warp(image, matrix),
            "SciPy affine_transform": scipy_warp(image, matrix, 1),
        },
        {"OpenCV warpAffine": 1.6, "torch affine_grid + grid_sample": 15, "SciPy affine_transform": 20},
    )


def large_affine_in_opencv(kind: str) -> Workload:
    grey, matrix = photograph(SIDE, SIDE), turned((SIDE, SIDE))
    image, aim, channel_axis = {
        "float32, 2048 x 2048 x 3": (in_colour(grey), 2.0, -1),
        "uint8, 2048 x 2048": (as_bytes(grey), 1.3, None),
        "uint8, 2048 x 2048 x 3": (as_bytes(in_colour(grey)), 1.3, -1),
    }[kind]
    transform = pb.Affine(matrix)
    calls = {
        OURS: lambda: pb.warp(image, transform, channel_axis=channel_axis),
        "OpenCV warpAffine": cv2_warp(image, matrix),
    }
    return Workload(f"affine, bilinear, {kind}", calls, {"OpenCV warpAffine": aim})


def large_cubic() -> Workload:
    image, matrix = photograph(SIDE, SIDE), turned((SIDE, SIDE))
    transform, cubic = pb.Affine(matrix), pb.Cubic(-0.75)
    return Workload(
        "affine, cubic, float32, 2048 x 2048",
        {
            OURS: lambda: pb.warp(image, transform, interpolation=cubic),
            "OpenCV warpAffine": cv2_warp(image, matrix, cv2.INTER_CUBIC),
            "torch affine_grid + grid_sample": torch_warp(image, matrix, "bicubic"),
        },
        {"OpenCV warpAffine": 1.5, "torch affine_grid + grid_sample": 8},
    )


def large_spline() -> Workload:
    image, matrix = photograph(SIDE, SIDE), turned((SIDE, SIDE))
    transform = pb.Affine(matrix)
    return Workload(
        "affine, spline3 with its prefilter, float32, 2048 x 2048",
        {
            OURS: lambda: pb.warp(image, transform, interpolation="spline3", border="reflect"),
            "SciPy affine_transform": scipy_warp(image, matrix, 3, "mirror"),
        },
        {"SciPy affine_transform": 12},
    )


def large_remap() -> Workload:
    image, matrix = photograph(SIDE, SIDE), turned((SIDE, SIDE))
    y, x = np.mgrid[:SIDE, :SIDE]
    points = np.stack([matrix[d, 0] * y + matrix[d, 1] * x + matrix[d, 2] for d in (0, 1)], axis=-1)
    points = points.astype(np.float32)
    maps = np.ascontiguousarray(points[..., ::-1])
    return Workload(
        "given coordinates, bilinear, float32, 2048 x 2048",
        {
            OURS: lambda: pb.sample(image, points),
            "OpenCV remap": lambda: cv2.remap(image, maps, None, cv2.INTER_LINEAR),
        },
        {"OpenCV remap": 1.5},
    )


def with_gradients(forward: Callable[[], torch.Tensor], inputs: tuple[torch.Tensor, ...]) -> Callable[[], object]:
    cotangent = torch.randn(forward().shape, generator=torch.Generator().manual_seed(1))
    return lambda: torch.autograd.grad(forward(), inputs, cotangent)


def batch(shape: tuple[int, int, int, int], aim: float, backward: bool) -> Workload:
    """Return a warp of a batch of images, each by a matrix of its own, in PyTorch."""
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(*shape, generator=generator).requires_grad_(backward)
    theta = torch.eye(2, 3) + 0.1 * torch.randn(shape[0], 2, 3, generator=generator)
    theta.requires_grad_(backward)

    def ours() -> torch.Tensor:
        return pb.warp(images, pb.Affine(theta), frame="centered")  # type: ignore[no-any-return]

    def in_torch() -> torch.Tensor:
        return F.grid_sample(images, F.affine_grid(theta, list(shape), align_corners=False), align_corners=False)

    peer = "torch affine_grid + grid_sample"
    title = f"affine, bilinear, float32, {' x '.join(map(str, shape))}, "
    if backward:
        inputs = (images, theta)
        calls = {OURS: with_gradients(ours, inputs), peer: with_gradients(in_torch, inputs)}
        return Workload(title + "forward + backward (image and theta)", calls, {peer: aim})
    return Workload(title + "forward", {OURS: ours, peer: in_torch}, {peer: aim})


VOLUME = (160, 192, 224)


def volume_points() -> np.ndarray:
    """Return coordinates of a turned volume, (*VOLUME, 3), in float32."""
    matrix = turned(VOLUME)
    index = np.stack(np.meshgrid(*(np.arange(n) for n in VOLUME), indexing="ij"), axis=-1)
    return (index @ matrix[:, :3].T + matrix[:, 3]).astype(np.float32)


def volume(backward: bool) -> Workload:
    image = torch.from_numpy(photograph(*VOLUME))[None, None].requires_grad_(backward)
    points = torch.from_numpy(volume_points())[None].requires_grad_(backward)
    size = torch.tensor(VOLUME)
    grid = (((2 * points.detach() + 1) / size - 1).flip(-1)).contiguous().requires_grad_(backward)

    def ours() -> torch.Tensor:
        return pb.sample(image, points)  # type: ignore[no-any-return]

    def in_torch() -> torch.Tensor:
        return F.grid_sample(image, grid, align_corners=False)

    title = "given coordinates, trilinear, float32, 160 x 192 x 224, "
    if backward:
        calls = {
            OURS: with_gradients(ours, (image, points)),
            "torch grid_sample": with_gradients(in_torch, (image, grid)),
        }
        return Workload(title + "forward + backward (image and coordinates)", calls, {"torch grid_sample": 6})
    return Workload(title + "forward", {OURS: ours, "torch grid_sample": in_torch}, {"torch grid_sample": 6})


def projective() -> Workload:
    image = photograph(SIDE, SIDE)
    matrix = np.concatenate([turned((SIDE, SIDE)), [[5e-5, 2e-5, 0.95]]])
    transform, in_xy = pb.Projective(matrix), matrix[[1, 0, 2]][:, [1, 0, 2]]
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return Workload(
        "projective, bilinear, float32, 2048 x 2048",
        {
            OURS: lambda: pb.warp(image, transform),
            "OpenCV warpPerspective": lambda: cv2.warpPerspective(image, in_xy, (SIDE, SIDE), flags=flags),
        },
        {"OpenCV warpPerspective": 1},
    )


def double_backward() -> Workload:
    generator = torch.Generator().manual_seed(0)
    shape = (8, 3, 256, 256)
    images = torch.randn(*shape, generator=generator).requires_grad_()
    theta = (torch.eye(2, 3) + 0.1 * torch.randn(8, 2, 3, generator=generator)).requires_grad_()

    def twice(forward: Callable[[], torch.Tensor]) -> Callable[[], object]:
        def call() -> object:
            first = torch.autograd.grad(forward().square().sum(), (images, theta), create_graph=True)
            return torch.autograd.grad(first[0].square().sum() + first[1].square().sum(), (images, theta))

        return call

    def in_torch() -> torch.Tensor:
        return F.grid_sample(images, F.affine_grid(theta, list(shape), align_corners=False), align_corners=False)

    peer = "torch affine_grid + grid_sample"
    calls = {OURS: twice(lambda: pb.warp(images, pb.Affine(theta), frame="centered")), peer: twice(in_torch)}
    return Workload(f"affine, bilinear, float32, {' x '.join(map(str, shape))}, twice backward", calls, {peer: 3})


def smooth_field(scale: float) -> torch.Tensor:
    """Return smooth displacements of a volume, (*VOLUME, 3), in voxels."""
    coarse = scale * torch.randn(1, 3, 6, 6, 6, generator=torch.Generator().manual_seed(0))
    return F.interpolate(coarse, VOLUME, mode="trilinear")[0].movedim(0, -1).contiguous()


def grid_of(field: torch.Tensor) -> torch.Tensor:
    """Return the grid, (1, *VOLUME, 3), from which `grid_sample` displaces a volume, made as it usually is."""
    index = torch.stack(torch.meshgrid(*(torch.arange(n, dtype=torch.float32) for n in VOLUME), indexing="ij"), dim=-1)
    return ((2 * (index + field) + 1) / torch.tensor(VOLUME) - 1).flip(-1)[None]


def displaced_volume() -> Workload:
    image = torch.from_numpy(photograph(*VOLUME))[None, None].requires_grad_()
    field = smooth_field(3.0).requires_grad_()
    ours = with_gradients(lambda: pb.warp(image, pb.Displacement(field)), (image, field))
    theirs = with_gradients(lambda: F.grid_sample(image, grid_of(field), align_corners=False), (image, field))
    title = "displacement field, trilinear, float32, 160 x 192 x 224, forward + backward (image and field)"
    return Workload(title, {OURS: ours, "torch grid_sample": theirs}, {"torch grid_sample": 6})


def integrated_velocity() -> Workload:
    field = smooth_field(3.0)

    def in_torch() -> torch.Tensor:
        u = field / 2**7
        for _ in range(7):
            moved = F.grid_sample(u.movedim(-1, 0)[None], grid_of(u), padding_mode="border", align_corners=False)
            u = u + moved[0].movedim(0, -1)
        return u

    calls = {OURS: lambda: pb.Velocity(field, steps=7).geometry, "torch grid_sample": in_torch}
    return Workload("velocity field, 7 squarings, float32, 160 x 192 x 224", calls, {"torch grid_sample": 5})


def volume_spline() -> Workload:
    image, points = photograph(*VOLUME), volume_points()
    columns = np.ascontiguousarray(np.moveaxis(points, -1, 0))
    return Workload(
        "given coordinates, spline3 with its prefilter, float32, 160 x 192 x 224",
        {
            OURS: lambda: pb.sample(image, points, interpolation="spline3", border="reflect"),
            "SciPy map_coordinates": lambda: scipy.ndimage.map_coordinates(image, columns, order=3, mode="mirror"),
        },
        {"SciPy map_coordinates": 15},
    )


def downscale() -> Workload:
    image = as_bytes(in_colour(photograph(SIDE, SIDE)))
    small = (SIDE // 4, SIDE // 4)
    picture = PIL.Image.fromarray(image)
    return Workload(
        "antialiased downscale by 4, uint8, 2048 x 2048 x 3",
        {
            OURS: lambda: pb.resize(image, small, channel_axis=-1),
            "Pillow resize": lambda: picture.resize(small, PIL.Image.Resampling.BILINEAR),
            "OpenCV INTER_AREA": lambda: cv2.resize(image, small, interpolation=cv2.INTER_AREA),
        },
        {"Pillow resize": 1, "OpenCV INTER_AREA": 0.5},
    )


STEP = "training step of the ST-CNN, affine, 256 x 1 x 42 x 42"
IN_TORCH = "the same on affine_grid + grid_sample"


class TorchTransformer(torch.nn.Module):
    """The transformer of a network with its sampling done by PyTorch."""

    def __init__(self, transformer: pb.nn.SpatialTransformer) -> None:
        super().__init__()
        self.transformer = transformer

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        theta = self.transformer.predict(images).matrix
        return F.grid_sample(images, F.affine_grid(theta, list(images.shape), align_corners=False), align_corners=False)


def training_step(part: str) -> Workload:
    """Return a step of AdamW on the network of `pullback train`, or forward and backward of a part of it."""
    images = torch.rand(256, 1, 42, 42, generator=torch.Generator().manual_seed(0))
    images[:, :, [0, -1]] = images[:, :, :, [0, -1]] = 0
    labels = torch.arange(256) % 10

    def prepared(in_torch: bool) -> Callable[[], object]:
        torch.manual_seed(0)
        network = models.build(models.ST_CNN, 42, 10)
        transformer = network.transformer
        torch.nn.init.normal_(transformer.head.linear.weight, std=0.05)
        if in_torch:
            network.transformer = TorchTransformer(transformer)
        if part == "sampler":
            theta = torch.eye(2, 3) + 0.1 * torch.randn(256, 2, 3)
            theta.requires_grad_()
            grid = partial(F.affine_grid, size=list(images.shape), align_corners=False)
            if in_torch:
                return with_gradients(lambda: F.grid_sample(images, grid(theta), align_corners=False), (theta,))
            return with_gradients(lambda: pb.warp(images, pb.Affine(theta), frame="centered"), (theta,))
        if part == "transformer":
            return with_gradients(lambda: network.transformer(images), tuple(transformer.parameters()))
        optimizer = torch.optim.AdamW(network.parameters(), fused=True)  # as `pullback train` has it

        def step() -> None:
            optimizer.zero_grad()
            F.cross_entropy(network(images), labels).backward()
            optimizer.step()

        return step

    title = {
        "step": STEP,
        "transformer": f"{STEP}: localization and sampler",
        "sampler": f"{STEP}: the sampler",
    }[part]
    aims = {IN_TORCH: 1.0}
    calls = {OURS: prepared(in_torch=False), IN_TORCH: prepared(in_torch=True)}
    return Workload(title, calls, aims, None if part == "step" else STEP)


def workloads() -> Iterator[Callable[[], Workload]]:
    yield large_affine
    for kind in ("float32, 2048 x 2048 x 3", "uint8, 2048 x 2048", "uint8, 2048 x 2048 x 3"):
        yield partial(large_affine_in_opencv, kind)
    yield large_cubic
    yield large_spline
    yield large_remap
    yield projective
    for shape, forward, both in (((8, 3, 512, 512), 5, 6), ((256, 1, 28, 28), 8, 5), ((16, 64, 64, 64), 4, 4)):
        yield partial(batch, shape, forward, backward=False)
        yield partial(batch, shape, both, backward=True)
    yield partial(volume, backward=False)
    yield partial(volume, backward=True)
    yield volume_spline
    yield downscale
    yield double_backward
    yield displaced_volume
    yield integrated_velocity
    for part in ("step", "transformer", "sampler"):
        yield partial(training_step, part)


Measured = dict[tuple[str, int, str], float]


def table(workload: Workload, threads: int, rounds: int, before: Measured) -> str:
    """Measure a workload and return its rows; take note of the times in `before`."""
    set_threads(threads)
    milliseconds = measure(workload.calls, rounds)
    before |= {(workload.title, threads, name): value for name, value in milliseconds.items()}

    def told(name: str) -> str:
        whole = before.get((workload.part_of or "", threads, name))
        share = f" ({100 * milliseconds[name] / whole:.1f} % of the step)" if whole else ""
        return f"{milliseconds[name]:.2f}{share}"

    rows = [f"| {workload.title} | {threads} | {OURS} | {told(OURS)} | | |"]
    for peer in [name for name in milliseconds if name != OURS]:
        aim = f"{workload.aims[peer]:g}" if peer in workload.aims else ""
        ratio = milliseconds[peer] / milliseconds[OURS]
        rows.append(f"| | {threads} | {peer} | {told(peer)} | **{ratio:.2f}** | {aim} |")
    return "\n".join(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="parts of the titles of the workloads to run")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--write", action="store_true", help="write benchmarks/results.md")
    arguments = parser.parse_args()
    header = "| workload | threads | library | ms | ratio | aim |\n|---|---|---|---|---|---|"
    print(machine(), "", header, sep="\n")
    rows: list[str] = []
    before: Measured = {}
    for make in workloads():
        workload = make()
        if arguments.names and not any(name in workload.title for name in arguments.names):
            continue
        for threads in arguments.threads:
            rows.append(table(workload, threads, arguments.rounds, before))
            print(rows[-1], flush=True)
    if arguments.write:
        how = "Made by `benchmarks/bench.py --write`: the median time of a call, and the peer's time over ours."
        write_section("Named workloads", "\n".join([f"{machine()}\n\n{how}\n", header, *rows]))


if __name__ == "__main__":
    main()
