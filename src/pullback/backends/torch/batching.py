"""What `torch.func.vmap` makes of calls: one call with more batch entries."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from pullback.backends.torch.operators import gradient, jvp, prefilter, pull, push, resize, second, vjp, winners


def split(tensor: Tensor, count: int) -> Tensor:
    """Return a tensor with its first axis split into `count` and the rest."""
    return tensor.reshape(count, tensor.shape[0] // count, *tensor.shape[1:])


class _Folded:
    """The batch axes of a call under vmap, and what they were.

    Images (N, ...) and geometries (M, ...) become (size * B, ...) with B the larger of both; or stay what they are,
    where all of the mapped calls share one, and no gradient in it is wanted.
    """

    def __init__(
        self,
        size: int,
        image: Tensor,
        image_dims: Any,
        geometry: Tensor,
        geometry_dims: Any,
        image_wanted: bool,
        geometry_wanted: bool,
    ) -> None:
        self.size = size
        self.images = image.shape[1 if image_dims[0] == 0 else 0]
        self.geometries = geometry.shape[1 if geometry_dims[0] == 0 else 0]
        self.batch = max(self.images, self.geometries)
        self.image_shared = all(d is None for d in image_dims) and self.images == 1 and not image_wanted
        self.geometry_shared = all(d is None for d in geometry_dims) and self.geometries == 1 and not geometry_wanted
        if self.image_shared and self.geometry_shared:
            self.image_shared = False

    def values(self, tensor: Tensor, dim: int | None) -> Tensor:
        tensor = tensor.expand(self.size, *tensor.shape) if dim is None else tensor.movedim(dim, 0)
        return tensor.expand(-1, self.batch, *tensor.shape[2:]).flatten(0, 1)

    def image(self, tensor: Any, dim: int | None) -> Any:
        return tensor if tensor is None or self.image_shared else self.values(tensor, dim)

    def geometry(self, tensor: Any, dim: int | None) -> Any:
        return tensor if tensor is None or self.geometry_shared else self.values(tensor, dim)

    def unfold(self, tensor: Tensor, entries: int) -> Tensor:
        """Return results of `entries` to a call, summed over those that were spread."""
        if tensor.numel() == 0:
            return tensor.expand(self.size, *tensor.shape)
        tensor = split(tensor, self.size)
        return tensor if entries == self.batch else tensor.sum(1, keepdim=True)

    def unfold_gradients(self, on_image: Tensor, on_geometry: Tensor) -> Any:
        """Return both gradients, and the axes that are mapped, as a rule for vmap does."""
        return (self.unfold(on_image, self.images), self.unfold(on_geometry, self.geometries)), (0, 0)


def pull_batch(info: Any, dims: Any, image: Tensor, geometry: Tensor, *rest: Any) -> Any:
    """Pull all images through all geometries."""
    folded = _Folded(info.batch_size, image, dims[:1], geometry, dims[1:2], False, False)
    values = pull(folded.image(image, dims[0]), folded.geometry(geometry, dims[1]), *rest)
    return folded.unfold(values, folded.batch), 0


def vjp_batch(info: Any, dims: Any, image: Tensor, geometry: Tensor, grad: Tensor, *rest: Any) -> Any:
    """Return the gradients of each call, summed where it shares an image or a geometry."""
    need_image, need_geometry = rest[2:4]
    folded = _Folded(info.batch_size, image, dims[:1], geometry, dims[1:2], need_image, need_geometry)
    grads = vjp(folded.image(image, dims[0]), folded.geometry(geometry, dims[1]), folded.values(grad, dims[2]), *rest)
    return folded.unfold_gradients(*grads)


def jvp_batch(
    info: Any, dims: Any, image: Tensor, geometry: Tensor, image_dot: Any, geometry_dot: Any, *rest: Any
) -> Any:
    """Move all images and geometries."""
    folded = _Folded(info.batch_size, image, dims[0:3:2], geometry, dims[1:4:2], False, False)
    values = jvp(
        folded.image(image, dims[0]),
        folded.geometry(geometry, dims[1]),
        folded.image(image_dot, dims[2]),
        folded.geometry(geometry_dot, dims[3]),
        *rest,
    )
    return folded.unfold(values, folded.batch), 0


def second_batch(
    info: Any,
    dims: Any,
    image: Tensor,
    geometry: Tensor,
    image_dot: Any,
    geometry_dot: Any,
    grad: Tensor,
    *rest: Any,
) -> Any:
    """Return the gradients of each call, summed where it shares an image or a geometry."""
    need_image, need_geometry = rest[2:4]
    folded = _Folded(info.batch_size, image, dims[0:3:2], geometry, dims[1:4:2], need_image, need_geometry)
    grads = second(
        folded.image(image, dims[0]),
        folded.geometry(geometry, dims[1]),
        folded.image(image_dot, dims[2]),
        folded.geometry(geometry_dot, dims[3]),
        folded.values(grad, dims[4]),
        *rest,
    )
    return folded.unfold_gradients(*grads)


def push_batch(info: Any, dims: Any, values: Tensor, geometry: Tensor, shape: Any, code: str, image_shape: Any) -> Any:
    """Scatter to as many images as there are calls."""
    images = image_shape[0]
    target = values.new_empty(1).expand(images, 1)
    folded = _Folded(info.batch_size, target, (None,), geometry, dims[1:2], True, False)
    whole = [folded.size * folded.batch, *image_shape[1:]]
    scattered = push(folded.values(values, dims[0]), folded.geometry(geometry, dims[1]), shape, code, whole)
    return folded.unfold(scattered, images), 0


def gradient_batch(info: Any, dims: Any, image: Tensor, geometry: Tensor, *rest: Any) -> Any:
    """Return the slopes of all images at all geometries."""
    folded = _Folded(info.batch_size, image, dims[:1], geometry, dims[1:2], False, False)
    slopes = gradient(folded.image(image, dims[0]), folded.geometry(geometry, dims[1]), *rest)
    return folded.unfold(slopes, folded.batch), 0


def prefilter_batch(info: Any, dims: Any, image: Tensor, *rest: Any) -> Any:
    """Prefilter all images."""
    image = image.movedim(dims[0], 0)
    return split(prefilter(image.flatten(0, 1), *rest), len(image)), 0


def resize_batch(info: Any, dims: Any, image: Tensor, *rest: Any) -> Any:
    """Resize all images."""
    image = image.movedim(dims[0], 0)
    return split(resize(image.flatten(0, 1), *rest), len(image)), 0


def winners_batch(info: Any, dims: Any, importance: Tensor, geometry: Tensor, *rest: Any) -> Any:
    """Find the most important points of each call."""
    folded = _Folded(info.batch_size, importance, dims[:1], geometry, dims[1:2], False, False)
    won = winners(folded.image(importance, dims[0]), folded.geometry(geometry, dims[1]), *rest)
    return folded.unfold(won, folded.batch), 0
