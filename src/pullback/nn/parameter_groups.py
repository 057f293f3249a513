"""The smaller step that localization networks need."""

from __future__ import annotations

from typing import Any

from torch import nn

from pullback.nn.transformer import SpatialTransformer


def localization_parameter_groups(model: nn.Module, lr: float, scale: float = 0.1) -> list[dict[str, Any]]:
    """Return optimizer parameter groups that give localization networks a step of their own.

    A small change of a transform moves every sample of the image, so that the step that suits a classifier throws a
    spatial transformer off the image before it has learned anything.

    Parameters
    ----------
    model : torch.nn.Module
        Any module, with any number of :class:`SpatialTransformer` in it, or one itself.
    lr : float
        Step of everything outside spatial transformers.
    scale : float, optional
        Step of localization networks and heads, as a part of `lr`.

    Returns
    -------
    list of dict
        For an optimizer: a group named "model" and a group named "localization", each with "params" and "lr"; a group
        without parameters is left out. Every parameter is in exactly one group; one that a localization network shares
        with the rest of the model is in "localization". Parameters that lazy modules have yet to initialise are in
        their group as well.

    Raises
    ------
    ValueError
        If `lr` or `scale` is negative.

    Examples
    --------
    >>> import torch
    >>> import pullback as pb
    >>> transformer = pb.nn.SpatialTransformer(pb.nn.ConvLocalization(1))
    >>> model = torch.nn.Sequential(transformer, torch.nn.Flatten(), torch.nn.Linear(28 * 28, 10))
    >>> groups = pb.nn.localization_parameter_groups(model, lr=0.01)
    >>> [(group["name"], group["lr"]) for group in groups]
    [('model', 0.01), ('localization', 0.001)]
    >>> optimizer = torch.optim.SGD(groups)
    """
    for name, value in (("lr", lr), ("scale", scale)):
        if value < 0:
            raise ValueError(f"localization_parameter_groups: `{name}` is {value}; give a number of at least 0")
    transformers = [module for module in model.modules() if isinstance(module, SpatialTransformer)]
    localization = {id(parameter) for transformer in transformers for parameter in transformer.parameters()}
    parameters = list(model.parameters())
    groups = [
        {"name": "model", "params": [p for p in parameters if id(p) not in localization], "lr": lr},
        {"name": "localization", "params": [p for p in parameters if id(p) in localization], "lr": lr * scale},
    ]
    return [group for group in groups if group["params"]]
