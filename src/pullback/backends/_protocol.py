"""What a backend is: the functions and constants that every one has, and what each of them promises.

A backend is a module. Images, geometries and values come to it, and go, in canonical form:

- an image is ``(N, C, *spatial)``, on the axes of the plan;
- a geometry is what the kind of the lattice asks for (:class:`pullback._plan.Lattice`), with a batch axis of M;
- values are ``(B, C, *lattice)``, where B is N or M, one of which may be 1 and is then shared.

Everything has been checked before: :mod:`pullback._check` knows what a caller may say. mypy holds the backends to what
stands here, where :func:`pullback.backends.backend_of` returns them, and the conformance suite to what it means.
"""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol, TypeAlias

from pullback._plan import Lattice, Plan, Sizing

# An array of the backend's own library, and a dtype of that library.
Array: TypeAlias = Any
DType: TypeAlias = Any


class Execution(NamedTuple):
    """How a call is carried out: what :func:`pullback.explain` tells.

    Attributes
    ----------
    implementation : str
        ``"native"`` or ``"composite"``.
    isa : str
        The instruction set of the kernels.
    threads : int
        The most threads that the call may use; 0 where the device decides.
    extra_bytes : int
        Memory beyond input and output, at most.
    """

    implementation: str
    isa: str
    threads: int
    extra_bytes: int


class Operations(Protocol):
    """The operations on canonical arrays, of which the other ones of the calculus are made."""

    def sum_dtype(self, dtype: DType, /) -> DType:
        """Return the dtype that samples of `dtype` are summed in, which is that of gradients in them.

        float32; float64 for float64 and integers of 32 bits and more; complex ones stay what they are.
        """

    def cast(self, values: Array, dtype: DType) -> Array:
        """Return `values` in `dtype`; integers are rounded to nearest, halves to even, and saturated, NaN becomes 0."""

    def pull(
        self,
        image: Array,
        geometry: Array,
        lattice: Lattice,
        plan: Plan,
        dtype: DType = None,
        out: Any = None,
    ) -> Array:
        """Return the values of `image` at the points of the lattice, (B, C, *lattice).

        Parameters
        ----------
        image : array
            Samples, or coefficients where the plan asks for a prefilter, which has then been applied.
        dtype : dtype, optional
            Of the result: that of `image` unless given. Values are rounded once, as :meth:`cast` does it; integers that
            are copied and keep their dtype are the same to the last bit. Results of double precision are summed in it.
        out : array, optional
            Where to write the result, which is then `out`; as :meth:`Backend.check_out` lets it pass.
        """

    def gradient(self, image: Array, geometry: Array, lattice: Lattice, plan: Plan) -> Array:
        """Return d value / d coordinate, (B, C, *lattice, d), in the dtype of sums.

        The coordinate is what the geometry yields, in the unit and the order of the image's frame. At a knot the slope
        is the right-hand one.
        """

    def push(self, values: Array, geometry: Array, lattice: Lattice, plan: Plan, shape: tuple[int, ...]) -> Array:
        """Return the transpose of :meth:`pull`, for a fill of 0, applied to `values`, in the dtype of sums.

        Parameters
        ----------
        values : array, (1 or B, C, *lattice)
        shape : tuple of int
            That of the result, (N, C, *spatial); where N is 1, the whole batch adds to one image.
        """

    def vjp(
        self,
        image: Array,
        geometry: Array,
        grad: Array,
        lattice: Lattice,
        plan: Plan,
        need_image: bool = True,
        need_geometry: bool = True,
    ) -> tuple[Array, Array]:
        """Return the gradients of ``(grad * pull(image, geometry)).sum()`` in `image` and in `geometry`.

        The image's is in the dtype of sums, the geometry's in that of `geometry`; None for one that is not needed.

        Parameters
        ----------
        grad : array, (B, C, *lattice)
            In the dtype of sums. A complex one is that of each component, as in PyTorch.
        """

    def prefilter(self, image: Array, plan: Plan, adjoint: bool = False) -> Array:
        """Return spline coefficients of `image`, or the transpose of that map applied to it, in the dtype of sums.

        Beyond constant borders every coefficient is `fill`, or 0 where that is not finite.
        """

    def resize(self, image: Array, shape: tuple[int, ...], sizing: Sizing, dtype: DType) -> Array:
        """Return an image with the spatial sides `shape`, in `dtype`, in memory of its own.

        Pixels are areas: old and new ones fill the same extent. Each axis by itself: the new sample is the sum of the
        old ones, weighed by the kernel about its place, over the sum of the weights; a mean over its area; a copy of
        the nearest one. Or, of labels, the one that has the largest weight on all axes together.
        """

    def winners(
        self, importance: Array, geometry: Array, lattice: Lattice, plan: Plan, shape: tuple[int, ...]
    ) -> Array:
        """Return which point of the lattice reaches each sample with the largest importance, int64 (B, *shape).

        A point reaches the samples to which its taps give a weight other than zero. NaN never wins; of equals, the
        first point does. Flat indices in the lattice; -1 where no point reaches.

        Parameters
        ----------
        importance : array, (1 or B, 1, *lattice)
        shape : tuple of int
            The spatial sides of the image.
        """

    def normal(self, image: Array, geometry: Array, lattice: Lattice, plan: Plan, target: Array) -> Array:
        """Return the moments of the residual between values and `target`, float64 (B, record).

        For matrices alone. With the features of a point, which are its indices in the output lattice and 1, and with
        the slopes of the value in the rows of the matrix between indices: the products of two slopes and two features,
        for each pair of rows the pairs of features, upper triangles row by row; those of a slope, a feature and the
        residual; and the square of the residual; each summed over points and channels, with their weights. Points that
        read nothing of the image have none.

        Parameters
        ----------
        target : array, (B, C, *lattice), (B, C + 1, *lattice) or (B, 2 C, *lattice)
            Behind the channels may follow weights, 0 or more, for all of them or for each; of a complex image, in both
            parts. Where a weight is 0, slopes and residuals may be anything.
        """


class Backend(Operations, Protocol):
    """A backend: the operations, and what a call asks of the arrays of one library before and after them.

    The functions that refuse something take the name of the public function first, for the message.
    """

    name: str

    def as_image(self, function: str, argument: str, image: Any) -> Array:
        """Return `image` as an array that the operations read as it is; refuse dtypes that they do not know."""

    def as_coordinates(self, function: str, coords: Any, image: Array) -> Array:
        """Return coordinates where `image` is: float32 from floats of up to 32 bits, float64 from all other numbers."""

    def own_transform(self, transform: Any, image: Array) -> Any:
        """Return a transform on arrays of the backend, where `image` is."""

    def as_geometry(self, geometry: Array) -> Array:
        """Return what coordinates are generated from, in a dtype that the operations know."""

    def as_dtype(self, function: str, dtype: Any, image: Array) -> DType:
        """Return the dtype of the result: that of `image` for None; refuse what images cannot have."""

    def check_out(self, function: str, out: Any) -> None:
        """Refuse what results cannot be written to."""

    def as_cotangent(self, function: str, grad: Any, image: Array) -> Array:
        """Return the gradient of a result read from `image` in the dtype of sums; refuse those of autograd."""

    def saw_unknown(self) -> bool:
        """Tell whether a pull of this thread has met parameters that are not finite, since this was asked last.

        Kernels see that as they go; the composite, whose devices are elsewhere, says nothing.
        """

    def execution(self, image: Array, geometry: Array, lattice: Lattice, plan: Plan) -> Execution:
        """Return how :meth:`pull` would be carried out."""
