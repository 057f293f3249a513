"""The compiled kernels, on arrays and CPU tensors in canonical form, as pullback.backends lays them out.

An array is whatever has ``__dlpack__`` or a buffer; or a tuple (address, shape, strides in elements, dtype's code),
which costs a tenth of a tensor's capsule, and whose memory the caller keeps.
"""

from collections.abc import Sequence
from typing import Any

DTYPES: dict[str, int]

class Request:
    def __init__(
        self,
        interpolation: Sequence[int],
        parameter: Sequence[float],
        border: Sequence[int],
        crop: bool,
        fill: Sequence[Any],
        kind: int,
        computed: bool,
        near: float,
        near_in_single: float,
        reversed: bool,
        lattice: Sequence[int],
        scale_in: Sequence[float],
        offset_in: Sequence[float],
        scale_out: Sequence[float],
        offset_out: Sequence[float],
        bfloat16: bool,
    ) -> None: ...

def pull(request: Request, image: Any, geometry: Any, out: Any) -> bool: ...
def gradient(request: Request, image: Any, geometry: Any, out: Any) -> None: ...
def push(request: Request, values: Any, geometry: Any, grad_image: Any) -> None: ...
def vjp(
    request: Request, image: Any, geometry: Any, cotangent: Any, grad_image: Any | None, grad_geometry: Any | None
) -> None: ...
def jvp(
    request: Request, image: Any, geometry: Any, image_dot: Any | None, geometry_dot: Any | None, out: Any
) -> None: ...
def second(
    request: Request,
    image: Any,
    geometry: Any,
    image_dot: Any | None,
    geometry_dot: Any | None,
    cotangent: Any,
    grad_image: Any | None,
    grad_geometry: Any | None,
) -> None: ...
def normal(request: Request, image: Any, geometry: Any, target: Any, record: Any) -> None: ...
def winners(request: Request, importance: Any, geometry: Any, best: Any, winner: Any) -> None: ...
def solve(data: Any, order: int, border: int, adjoint: bool) -> None: ...
def resample(image: Any, first: Any, weight: Any, out: Any) -> None: ...
def available_isas() -> list[str]: ...
def isa() -> str: ...
def set_isa(name: str) -> None: ...
def num_threads() -> int: ...
def set_num_threads(count: int) -> None: ...
