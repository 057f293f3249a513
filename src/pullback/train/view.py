"""What a transformer makes of the test pictures: its outputs, its frames, and the means of the classes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from pullback.train.loop import TestBatches
from pullback.train.models import Network

_POINTS_A_SIDE = 8
_FAR = 1e6


def _edge() -> npt.NDArray[np.float64]:
    along = np.linspace(-1, 1, _POINTS_A_SIDE, endpoint=False)
    one = np.ones_like(along)
    sides = [(-one, along), (along, one), (one, -along), (-along, -one)]
    return np.concatenate([np.stack(side, 1) for side in sides])


# Points on the edge of an output, (y, x) in the frame "centered", along the top and on as the hands of a clock go.
EDGE = _edge()


@dataclass(frozen=True)
class View:
    """Test pictures beside what a network made of them.

    Attributes
    ----------
    inputs : Tensor, (N, 1, canvas, canvas)
        Of several channels, the brightest.
    outputs : Tensor, (N, heads, side, side)
        The same of what each head of the transformer passes on.
    frames : ndarray, (N, heads, K, 2)
        Where points on the edge of each output are on the input, in the frame "centered": the points of
        :data:`EDGE`, of which the first quarter is the top edge.
    labels, predicted : Tensor, (N,)
    """

    inputs: Tensor
    outputs: Tensor
    frames: npt.NDArray[np.float64]
    labels: Tensor
    predicted: Tensor

    @property
    def can_be_drawn(self) -> bool:
        """Whether all outputs are finite, and all frames so near that one finds them on a page."""
        return bool(self.outputs.isfinite().all()) and bool((np.abs(self.frames) < _FAR).all())


@torch.inference_mode()
def look(network: Network, batches: TestBatches) -> View:
    """Pass all test pictures through a network with a transformer."""
    outputs, frames, predicted = [], [], []
    for images, _ in batches:
        warped, transforms = network.rectify(images)
        heads = transforms if isinstance(transforms, tuple) else (transforms,)
        shape = warped.shape[2:]
        outputs.append(warped.reshape(len(images), len(heads), images.shape[1], *shape).amax(2))
        seen = [np.asarray(head.numpy()(EDGE[None], shape=shape, frame="centered")) for head in heads]
        frames.append(np.stack([np.broadcast_to(one, (len(images), *EDGE.shape)) for one in seen], 1))
        predicted.append(network.classify(warped).argmax(1))
    inputs = batches.images.amax(1, keepdim=True)
    return View(inputs, torch.cat(outputs), np.concatenate(frames), batches.labels, torch.cat(predicted))


def outline(frame: npt.NDArray[np.float64], side: int) -> npt.NDArray[np.float64]:
    """Return a frame on an input of `side` pixels a side as the points of a polygon, (K, 2), (x, y) in pixels."""
    positions: npt.NDArray[np.float64] = (frame + 1) * (side / 2)
    return positions[:, ::-1]


def straightening(frame: npt.NDArray[np.float64], side: int) -> tuple[float, ...]:
    """Return the map that brings a frame on the input to the whole of a square of the same side, as near as one can.

    Parameters
    ----------
    frame : ndarray, (K, 2)
        One of a head in :attr:`View.frames`.
    side : int
        Side of the input.

    Returns
    -------
    tuple of float
        a, b, c, d, e, f of ``x' = a x + c y + e``, ``y' = b x + d y + f``, in pixels, as CSS and SVG have them: the
        inverse of the affine map that comes nearest to that of the frame.
    """
    corners = np.concatenate([EDGE, np.ones_like(EDGE[:, :1])], 1)
    matrix = np.linalg.lstsq(corners, frame, rcond=None)[0].T
    linear = np.linalg.pinv(matrix[:, :2])
    f, e = side / 2 * (1 - linear @ (matrix[:, 2] + 1))
    (d, b), (c, a) = linear
    return tuple(float(number) for number in (a, b, c, d, e, f))


def mean_images(images: Tensor, labels: Tensor, classes: int) -> Tensor:
    """Return the mean image of each class, (classes, side, side); black for a class without images."""
    return torch.stack([images[labels == k, 0].sum(0) / max(1, int((labels == k).sum())) for k in range(classes)])


def explained_by_class(images: Tensor, labels: Tensor, classes: int) -> float:
    """Return the part of the variance of the pixels that the mean images of the classes explain, between 0 and 1."""
    within = images[:, 0] - mean_images(images, labels, classes)[labels]
    total = images[:, 0] - images[:, 0].mean(0)
    return 1 - float(within.square().sum() / total.square().sum().clamp(min=1e-12))
