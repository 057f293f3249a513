"""Every public operation on tensors, every way in which PyTorch traces or transforms one, and what came of each pair.

``python tests/tracing.py`` runs all of them and writes the table of the manual anew.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.fx.experimental.proxy_tensor import make_fx

import pullback as pb

PAGE = Path(__file__).parent.parent / "docs" / "manual" / "tracing.md"
BEGIN, END = "<!-- the table, from tests/tracing.py -->", "<!-- end of the table -->"

# What a refusal says, by the letter that stands for it in the table.
SENTENCES = {
    "a": "needs the values of",
    "b": "torch.func over",
    "c": "has no forward mode",
    "d": "matmul",
    "e": "give a tensor on the CPU",
}
WORKS, NOTHING = "yes", "-"


def draw(*shape: int, seed: int = 0) -> torch.Tensor:
    """Return numbers that do not change from run to run; no position that is made of them is a knot."""
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


IMAGE, POINTS, VALUES = draw(2, 3, 9, 11), 7 * draw(2, 5, 2, seed=1), draw(2, 3, 5, seed=2)
MATRIX = torch.tensor([[0.93, 0.11, 0.37], [-0.09, 1.07, 0.23]]).repeat(2, 1, 1)
VECTOR = torch.tensor([0.31, -0.23])
HOMOGRAPHY = torch.eye(3) + 0.003 * draw(3, 3, seed=3)
CORNERS = torch.tensor([[0.0, 0.0], [0.0, 10.0], [8.0, 0.0], [8.0, 10.0], [3.0, 4.0]])
TARGETS = CORNERS + 0.3 * draw(5, 2, seed=4)
FIELD = 0.2 * draw(4, 5, 2, seed=5)


@dataclass(frozen=True)
class Operation:
    """A function of tensors, its inputs, of which the last is differentiated and mapped, and whether it is quick.

    `is_smooth` says whether there is anything to differentiate; `module` is what is exported, where that is one.
    """

    function: Callable[..., torch.Tensor]
    inputs: tuple[torch.Tensor, ...]
    quick: bool = False
    is_smooth: bool = True
    module: torch.nn.Module | None = None


with torch.random.fork_rng():
    torch.manual_seed(0)
    LOCALIZATION = torch.nn.Sequential(torch.nn.Flatten(1), torch.nn.Linear(297, 8))
    TRANSFORMER = pb.nn.SpatialTransformer(LOCALIZATION, size=(4, 4), features=8, noise=0.1)


def transformed(image: torch.Tensor) -> torch.Tensor:
    """Call the transformer, on the device of the image."""
    state = {name: value.detach().to(image.device) for name, value in TRANSFORMER.state_dict().items()}
    return torch.func.functional_call(TRANSFORMER, state, (image,))


OPERATIONS = {
    "sample": Operation(lambda x, c: pb.sample(x, c, interpolation="cubic"), (IMAGE, POINTS)),
    "sample, splines": Operation(
        lambda x, c: pb.sample(x, c, interpolation="spline3", border="reflect"), (POINTS.new_ones(2, 3, 9, 11), POINTS)
    ),
    "sample, of an image's splines": Operation(
        lambda c, x: pb.sample(x, c, interpolation="spline3", border="reflect"), (POINTS, IMAGE)
    ),
    'sample, mask="nan"': Operation(lambda c, x: pb.sample(x, c, mask="nan"), (POINTS, IMAGE)),
    "sample, weight, coverage": Operation(
        lambda x, c: sum(pb.sample(x, c, weight=x[:, :1], return_weight=True)), (IMAGE, POINTS)
    ),
    "gradient": Operation(lambda x, c: pb.gradient(x, c), (IMAGE, POINTS)),
    "prefilter": Operation(lambda x: pb.prefilter(x, 3, ndim=2), (IMAGE,)),
    "resize": Operation(lambda x: pb.resize(x, (4, 5)), (IMAGE,)),
    "splat": Operation(lambda v, c: pb.splat(v, c, (9, 11)), (VALUES, POINTS)),
    "splat, normalize=True": Operation(lambda v, c: pb.splat(v, c, (9, 11), normalize=True, fill=0), (VALUES, POINTS)),
    'splat, "softmax"': Operation(
        lambda v, c: pb.splat(v, c, (9, 11), normalize="softmax", importance=c[..., 0], fill=0), (VALUES, POINTS)
    ),
    'splat, "max"': Operation(
        lambda c, v: pb.splat(v, c, (9, 11), normalize="max", importance=c[..., 0], fill=0), (POINTS, VALUES)
    ),
    "normal_equations": Operation(
        lambda x, p: pb.normal_equations(x, pb.Translation(p), x).jtj, (IMAGE, VECTOR), is_smooth=False
    ),
    "warp, labels": Operation(
        lambda x: pb.warp(x, pb.Affine.rotation(20), interpolation="label"),
        ((4 * IMAGE).to(torch.int32),),
        is_smooth=False,
    ),
    "warp, antialias=True": Operation(
        lambda x, p: pb.warp(x, pb.Affine(p), (4, 4), antialias=True, frame="centered"), (IMAGE, MATRIX)
    ),
    "warp, a transform of numbers": Operation(
        lambda x: pb.warp(x, pb.Affine.rotation(30), frame="centered", fill=0.5), (IMAGE,), quick=True
    ),
    "warp, Translation": Operation(lambda x, p: pb.warp(x, pb.Translation(p)), (IMAGE, VECTOR)),
    "warp, Euclidean": Operation(lambda x, p: pb.warp(x, pb.Euclidean(p[0], p)), (IMAGE, VECTOR)),
    "warp, Similarity": Operation(lambda x, p: pb.warp(x, pb.Similarity(1 + p[0], p[1], p)), (IMAGE, VECTOR)),
    "warp, Affine": Operation(lambda x, p: pb.warp(x, pb.Affine(p), frame="normalized"), (IMAGE, MATRIX), quick=True),
    "warp, Projective": Operation(lambda x, p: pb.warp(x, pb.Projective(p)), (IMAGE, HOMOGRAPHY)),
    "warp, ThinPlateSpline": Operation(
        lambda x, c: pb.warp(x, pb.ThinPlateSpline(c, TARGETS.to(c.device))), (IMAGE, CORNERS)
    ),
    "warp, FreeForm": Operation(lambda x, p: pb.warp(x, pb.FreeForm(p)), (IMAGE, FIELD)),
    "warp, Displacement": Operation(lambda x, p: pb.warp(x, pb.Displacement(p)), (IMAGE, FIELD)),
    "warp, Velocity": Operation(lambda x, p: pb.warp(x, pb.Velocity(p, 2)), (IMAGE, FIELD)),
    "warp, Chain.of": Operation(
        lambda x, p: pb.warp(x, pb.Chain.of(pb.FreeForm(p), pb.Translation(p[0, 0]))), (IMAGE, FIELD)
    ),
    "warp, a @ b": Operation(lambda x, p: pb.warp(x, pb.Affine(p) @ pb.Translation(p[0, :, 2])), (IMAGE, MATRIX)),
    "Affine.inverse": Operation(lambda p: pb.Affine(p).inverse().matrix, (MATRIX,)),
    "Projective.inverse": Operation(lambda p: pb.Projective(p).inverse().matrix, (HOMOGRAPHY,)),
    "Displacement.inverse": Operation(lambda p: pb.Displacement(p).inverse().parameters, (FIELD,)),
    "Affine.fit": Operation(lambda s, t: pb.Affine.fit(s, t).matrix, (CORNERS, TARGETS)),
    "Displacement.fit": Operation(lambda s, t: pb.Displacement.fit(s, t, (4, 5)).parameters, (CORNERS, TARGETS)),
    "FreeForm.jacobian": Operation(lambda c, p: pb.FreeForm(p).jacobian(c, shape=(9, 11)), (CORNERS, FIELD)),
    "SpatialTransformer": Operation(transformed, (IMAGE,), module=TRANSFORMER),
    "grid_sample": Operation(
        lambda x, g: pb.compat.torch.grid_sample(x, g, align_corners=False),
        (IMAGE, 1.7 * draw(2, 4, 4, 2, seed=6) - 0.9),
    ),
    "affine_grid": Operation(
        lambda t: pb.compat.torch.affine_grid(t, (2, 3, 9, 11), align_corners=False), (MATRIX,), quick=True
    ),
}


class Stateful(torch.nn.Module):
    """A function as a module."""

    def __init__(self, function: Any) -> None:
        super().__init__()
        self.function = function

    def forward(self, *inputs: Any) -> Any:
        """Call the function."""
        return self.function(*inputs)


def same(found: Any, right: Any) -> None:
    """Hold a result against that of eager mode."""
    torch.testing.assert_close(found, right, rtol=1e-3, atol=1e-4)


def compiled(operation: Operation, *, backend: str = "aot_eager", **options: Any) -> None:
    """Compile, and run."""
    torch._dynamo.reset()
    right = operation.function(*operation.inputs)
    same(torch.compile(operation.function, backend=backend, **options)(*operation.inputs), right)


def exported(operation: Operation, strict: bool) -> None:
    """Export, and run what was exported."""
    torch._dynamo.reset()
    module = operation.module or Stateful(operation.function)
    program = torch.export.export(module, operation.inputs, strict=strict)
    same(program.module()(*operation.inputs), operation.function(*operation.inputs))


def of_last(operation: Operation) -> Callable[[torch.Tensor], torch.Tensor]:
    """Return the sum of squares of a result as a function of the last input."""
    *others, _ = operation.inputs
    return lambda last: operation.function(*others, last).square().sum()


def differentiated(operation: Operation, transform: Any) -> None:
    """Differentiate, and hold it against autograd's first derivative."""
    last = operation.inputs[-1]
    found = transform(of_last(operation))(last)
    assert found.isfinite().all()
    if found.shape == last.shape:
        leaf = last.clone().requires_grad_()
        value = of_last(operation)(leaf)
        (right,) = torch.autograd.grad(value, leaf) if value.requires_grad else (torch.zeros_like(leaf),)
        same(found, right)


def mapped(operation: Operation) -> None:
    """Map, and hold it against a loop."""
    *others, last = operation.inputs
    several = torch.stack([last, last + 0.01]) if last.is_floating_point() else torch.stack([last, last + 1])
    found = torch.func.vmap(lambda each: operation.function(*others, each))(several)
    same(found, torch.stack([operation.function(*others, each) for each in several]))


def compiled_differentiated(operation: Operation) -> None:
    """Compile a derivative."""
    torch._dynamo.reset()
    derivative = torch.func.grad(of_last(operation))
    right = derivative(operation.inputs[-1])
    same(torch.compile(derivative, backend="aot_eager", fullgraph=True)(operation.inputs[-1]), right)


def faked(operation: Operation) -> None:
    """Run on fake tensors, and hold the shape and the dtype."""
    right = operation.function(*operation.inputs)
    with FakeTensorMode(allow_non_fake_inputs=True) as mode:
        found = operation.function(*map(mode.from_tensor, operation.inputs))
    assert (found.shape, found.dtype) == (right.shape, right.dtype)


def followed(operation: Operation) -> None:
    """Make a graph of what runs, and run it."""
    graph = make_fx(operation.function)(*operation.inputs)
    same(graph(*operation.inputs), operation.function(*operation.inputs))


def without_data(operation: Operation) -> None:
    """Run on the meta device, and hold the shape and the dtype."""
    right = operation.function(*operation.inputs)
    found = operation.function(*(each.to("meta") for each in operation.inputs))
    assert (found.shape, found.dtype, found.device.type) == (right.shape, right.dtype, "meta")


@dataclass(frozen=True)
class Kind:
    """A way of tracing or transforming: what does it, whether it differentiates, and whether it is quick."""

    run: Callable[[Operation], None]
    needs_slope: bool = False
    quick: bool = True


KINDS = {
    "compile": Kind(compiled, quick=False),
    "one graph, dynamic": Kind(partial(compiled, fullgraph=True, dynamic=True), quick=False),
    "export": Kind(partial(exported, strict=False), quick=False),
    "export, strict": Kind(partial(exported, strict=True), quick=False),
    "grad": Kind(partial(differentiated, transform=torch.func.grad), True),
    "jacrev": Kind(partial(differentiated, transform=torch.func.jacrev), True),
    "jacfwd": Kind(partial(differentiated, transform=torch.func.jacfwd), True),
    "hessian": Kind(partial(differentiated, transform=torch.func.hessian), True, quick=False),
    "vmap": Kind(mapped),
    "compiled grad": Kind(compiled_differentiated, True, quick=False),
    "fake": Kind(faked),
    "make_fx": Kind(followed),
    "meta": Kind(without_data),
}


def outcome(operation: Operation, kind: Kind) -> str:
    """Return what the table says of a pair; any error that is none of the sentences is raised."""
    if kind.needs_slope and not operation.is_smooth:
        return NOTHING
    TRANSFORMER._background_is_known = False
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            kind.run(operation)
        except Exception as error:
            for letter, sentence in SENTENCES.items():
                if sentence in str(error):
                    return letter
            raise
    return WORKS


def table_of(cells: dict[tuple[str, str], str]) -> str:
    """Return the table as Markdown."""
    rows = [["", *KINDS], ["---", *([":-:"] * len(KINDS))]]
    rows += [[f"`{name}`", *(cells[name, kind] for kind in KINDS)] for name in OPERATIONS]
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def cells_of_page() -> dict[tuple[str, str], str]:
    """Return the cells of the manual's table."""
    lines = PAGE.read_text().split(BEGIN)[1].split(END)[0].strip().splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines] or [[]]
    kinds = rows[0][1:]
    return {(row[0].strip("`"), kind): cell for row in rows[2:] for kind, cell in zip(kinds, row[1:], strict=True)}


def main() -> None:
    """Run every pair whose kind is among the arguments, and all without any; write the table."""
    cells = cells_of_page() if PAGE.exists() and BEGIN in PAGE.read_text() else {}
    for kind in sys.argv[1:] or KINDS:
        for name, operation in OPERATIONS.items():
            try:
                cells[name, kind] = outcome(operation, KINDS[kind])
            except Exception as error:
                cells[name, kind] = "?"
                print(kind, name, type(error).__name__, str(error)[:300].replace("\n", " "), flush=True)
        print(kind, flush=True)
    known = {(name, kind): cells.get((name, kind), "?") for name in OPERATIONS for kind in KINDS}
    before, rest = PAGE.read_text().split(BEGIN)
    PAGE.write_text(f"{before}{BEGIN}\n{table_of(known)}\n{END}{rest.split(END)[1]}")


if __name__ == "__main__":
    main()
