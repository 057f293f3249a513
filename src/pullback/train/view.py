"""What a transformer makes of the test pictures: its outputs, its frames, and the means of the classes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

import pullback as pb
from pullback.train.loop import TestBatches
from pullback.train.models import Network


@dataclass(frozen=True)
class View:
    """Test pictures beside what a network made of them.

    Attributes
    ----------
    inputs : Tensor, (N, 1, canvas, canvas)
    outputs : Tensor, (N, 1, side, side)
    matrices : ndarray, (N, 2, 3)
        From output to input, in the frame "centered".
    labels, predicted : Tensor, (N,)
    """

    inputs: Tensor
    outputs: Tensor
    matrices: npt.NDArray[np.float64]
    labels: Tensor
    predicted: Tensor


@torch.inference_mode()
def look(network: Network, batches: TestBatches) -> View:
    """Pass all test pictures through a network with a transformer."""
    outputs, matrices, predicted = [], [], []
    for images, _ in batches:
        warped, transform = network.rectify(images)
        outputs.append(warped)
        matrices.append(transform.numpy().matrix)
        predicted.append(network.classifier(warped).argmax(1))
    return View(batches.images, torch.cat(outputs), np.concatenate(matrices), batches.labels, torch.cat(predicted))


def corners(matrix: npt.NDArray[np.float64], side: int) -> npt.NDArray[np.float64]:
    """Return where the corners of the output are on the input.

    Parameters
    ----------
    matrix : ndarray, (2, 3)
        From output to input, in the frame "centered".
    side : int
        Side of the input.

    Returns
    -------
    ndarray, (4, 2)
        As (x, y) in pixels from the input's corner, in the order of a polygon that begins with the output's top edge.
    """
    output = np.array([(-1.0, -1.0), (-1.0, 1.0), (1.0, 1.0), (1.0, -1.0)])
    positions: npt.NDArray[np.float64] = (pb.Affine(matrix)(output) + 1) * (side / 2)
    return positions[:, ::-1]


def straightening(matrix: npt.NDArray[np.float64], side: int) -> tuple[float, ...]:
    """Return the map that brings the frame on the input to the whole of a square of the same side.

    Parameters
    ----------
    matrix, side
        As in :func:`corners`.

    Returns
    -------
    tuple of float
        a, b, c, d, e, f of ``x' = a x + c y + e``, ``y' = b x + d y + f``, in pixels, as CSS and SVG have them.
    """
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
