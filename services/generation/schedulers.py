"""Samplers by their API name."""

import inspect
from collections.abc import Mapping
from typing import Any

import diffusers

from services.catalogue_entry import SCHEDULERS
from services.execution.executor import ExecutionFailed
from services.tiers import Spacing

# PNDM's Runge-Kutta warm-up costs nine more UNet calls and cannot do fewer than four steps.
_OVERRIDES: Mapping[str, Mapping[str, Any]] = {"pndm": {"skip_prk_steps": True}}

_SPACINGS: Mapping[Spacing, Mapping[str, Any]] = {
    "model": {},
    "trailing": {"timestep_spacing": "trailing"},
}


def make_scheduler(name: str, config: Mapping[str, Any], spacing: Spacing = "model") -> Any:
    """A new scheduler, without history, for one clip.

    Args:
        name: A key of ``SCHEDULERS``.
        config: The checkpoint's scheduler config: the noise schedule the model was trained with.
        spacing: Which noise levels its steps visit, see ``Tier``; a sampler that cannot keeps the config's.

    Raises:
        ExecutionFailed: ``invalid_request`` for an unknown name.
    """
    if name not in SCHEDULERS:
        raise ExecutionFailed(
            "invalid_request", f"scheduler {name!r} is unknown; accepted: {', '.join(SCHEDULERS)}"
        )
    scheduler_class = getattr(diffusers, SCHEDULERS[name])
    known = inspect.signature(scheduler_class).parameters
    chosen = {option: value for option, value in _SPACINGS[spacing].items() if option in known}
    return scheduler_class.from_config(config, **_OVERRIDES.get(name, {}), **chosen)
