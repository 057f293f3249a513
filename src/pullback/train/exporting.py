"""Trained networks as ONNX graphs."""

from __future__ import annotations

import warnings

import torch
from torch import Tensor, nn

from pullback.train.distortions import DISTORTIONS
from pullback.train.loading import trained_network
from pullback.train.models import Network
from pullback.train.runs import CHANNELS, Run

# The first with GridSample for volumes, cubic among them.
_OPSET = 20


class _Both(nn.Module):
    """What a network with a transformer says, and what it sees."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        warped, _ = self.network.rectify(images)
        return self.network.classify(warped), warped


def to_onnx(run: Run, model: str | None, seed: int | None, batch_size: int) -> bytes:
    """Return a trained network as an ONNX model.

    Parameters
    ----------
    run : Run
    model, seed : optional
        As in :func:`pullback.train.loading.trained_network`.
    batch_size : int
        How many pictures the graph takes at once.

    Returns
    -------
    bytes
        With the input "images", (batch_size, channels, canvas, canvas), and the outputs "logits" and, of a network with
        a transformer, "warped".
    """
    network = trained_network(run, model, seed)
    canvas = DISTORTIONS[run.configuration.distortion].canvas
    names = ["logits"] if network.transformer is None else ["logits", "warped"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            network if network.transformer is None else _Both(network).eval(),
            (torch.zeros(batch_size, CHANNELS[run.configuration.task], canvas, canvas),),
            dynamo=True,
            opset_version=_OPSET,
            input_names=["images"],
            output_names=names,
            verbose=False,
        )
    assert program is not None
    content: bytes = program.model_proto.SerializeToString()
    return content
