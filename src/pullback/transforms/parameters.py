"""What holds parameters, on arrays of NumPy or on tensors, and never changes."""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, NoReturn

from pullback._arrays import Array, detached, is_tensor
from pullback._cache import is_in_dynamo

if TYPE_CHECKING:
    from typing import Self


class Parametrised(ABC):
    """A transform as the holder of one array, `parameters`: float64 NumPy, or a tensor with its autograd graph."""

    parameters: Array

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"{type(self).__name__} is immutable; make a new one from new parameters")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"{type(self).__name__} is immutable")

    @classmethod
    def _holding(cls, parameters: Array) -> Self:
        """Return a transform around `parameters` of the right kind and shape, an array that no one else writes to."""
        transform = object.__new__(cls)
        transform._hold(parameters)
        return transform

    def _hold(self, parameters: Array) -> None:
        if not is_tensor(parameters):
            if is_in_dynamo():
                parameters = sys.modules["torch"].as_tensor(parameters)
            else:
                parameters.setflags(write=False)
        object.__setattr__(self, "parameters", parameters)

    @classmethod
    @abstractmethod
    def from_parameters(cls, parameters: Array) -> Self:
        """Return the transform of this family that has the given parameters.

        Parameters
        ----------
        parameters : array_like or Tensor
            Laid out as in the attribute of that name, with a batch axis in front or without.

        Returns
        -------
        Transform
            Of this class: on float64 NumPy arrays, or around the tensor itself, with its autograd graph.

        Raises
        ------
        ValueError
            If the shape is none of this family's.
        TypeError
            If `parameters` holds anything but real numbers; for :class:`pullback.Chain` and
            :class:`pullback.ThinPlateSpline`, which are more than their parameters, always.

        Examples
        --------
        >>> import pullback as pb
        >>> pb.Similarity.from_parameters([2.0, 0.0, 3.0, 4.0])
        Similarity(scale=2, rotation=0, translation=[3, 4])
        """

    def with_parameters(self, parameters: Array) -> Self:
        """Return this transform with other parameters, and with whatever else it holds unchanged.

        Parameters
        ----------
        parameters : array_like or Tensor
            Laid out as in the attribute of that name; of a :class:`pullback.Chain`, a tuple with those of each
            transform.

        Returns
        -------
        Transform
            Of this class.

        Raises
        ------
        ValueError
            If the shape is none of this family's.
        TypeError
            If `parameters` holds anything but real numbers.

        Examples
        --------
        >>> import numpy as np
        >>> import pullback as pb
        >>> pb.Velocity(np.zeros((4, 5, 2)), steps=3).with_parameters(np.ones((4, 5, 2))).steps
        3
        """
        return self.from_parameters(parameters)

    def numpy(self) -> Self:
        """Return this transform on float64 NumPy arrays, cut off from any autograd graph.

        Returns
        -------
        Transform
            Of this class; this one itself, if it is on NumPy arrays already.

        Examples
        --------
        >>> import torch
        >>> import pullback as pb
        >>> pb.Translation(torch.tensor([1.0, 2.0], requires_grad=True)).numpy()
        Translation(offset=[1, 2])
        """
        if not is_tensor(self.parameters):
            return self
        return self.with_parameters(detached(self.parameters))

    def torch(self, device: Any = None, dtype: Any = None) -> Self:
        """Return this transform on torch tensors.

        Parameters
        ----------
        device : torch.device or str, optional
            Where to put the parameters. Default: where they are; the CPU for NumPy arrays.
        dtype : torch.dtype, optional
            A floating-point dtype. Default: the one they have; float64 for NumPy arrays.

        Returns
        -------
        Transform
            Of this class. Gradients pass through the conversion of tensors.

        Raises
        ------
        TypeError
            If `dtype` is not a floating-point dtype.

        Examples
        --------
        >>> from pullback.transforms import Translation
        >>> Translation([1.0, 2.0]).torch().parameters.dtype
        torch.float64
        """
        import torch

        if dtype is not None and not dtype.is_floating_point:
            raise TypeError(
                f"{type(self).__name__}.torch: `dtype` is {dtype}; give a floating-point dtype such as torch.float32"
            )
        parameters = self.parameters
        if not is_tensor(parameters):
            parameters = torch.tensor(parameters)
        return self.with_parameters(parameters.to(device=device, dtype=dtype))
