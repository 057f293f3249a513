"""A transform whose parameters a module learns."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from pullback.transforms import Chain, Transform


class LearnableTransform(nn.Module):
    """A module that holds the parameters of a transform, and returns the transform when it is called.

    A transform is a value, not a module: one that is set as an attribute of a module brings no parameters with it, for
    the optimizer or for the ``state_dict``. This module does.

    Parameters
    ----------
    transform : Transform
        Where to begin, of any family, one or a batch; of a :class:`pullback.Chain`, the parameters of all its parts are
        learned. NumPy arrays become tensors of PyTorch's default dtype; tensors are copied, and keep theirs.

    Attributes
    ----------
    values : torch.nn.ParameterList
        The parameters of the transform: one tensor, of a chain several.

    Raises
    ------
    TypeError
        If `transform` is no transform.

    See Also
    --------
    SpatialTransformer : A transform for each image, predicted from it.

    Examples
    --------
    >>> import torch
    >>> import pullback as pb
    >>> image = torch.rand(1, 1, 8, 8)
    >>> motion = pb.nn.LearnableTransform(pb.Translation([0.0, 0.0]))
    >>> optimizer = torch.optim.SGD(motion.parameters(), lr=0.1)
    >>> pb.warp(image, motion()).sum().backward()
    >>> optimizer.step()
    >>> list(motion.state_dict())
    ['values.0']
    """

    def __init__(self, transform: Transform) -> None:
        super().__init__()
        if not isinstance(transform, Transform):
            raise TypeError(f"LearnableTransform: `transform` is {type(transform).__name__}; give a transform")
        self.values = nn.ParameterList(map(_own, transform._held))
        self._blank = transform.numpy()

    def forward(self) -> Transform:
        """Return the transform of the present parameters, with their graph.

        Returns
        -------
        Transform
            Of the family that the module began with.
        """
        values = tuple(self.values)
        return self._blank.with_parameters(values if isinstance(self._blank, Chain) else values[0])

    def extra_repr(self) -> str:
        """Return what the module's repr says of it.

        Returns
        -------
        str
            The families.
        """
        parts = self._blank.transforms if isinstance(self._blank, Chain) else (self._blank,)
        return ", ".join(type(part).__name__ for part in parts)


def _own(parameters: Any) -> torch.Tensor:
    if isinstance(parameters, torch.Tensor):
        return parameters.detach().clone()
    return torch.tensor(parameters, dtype=torch.get_default_dtype())
