"""One classifier with other settings, and what it would decide on the same scores."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import msgspec

from earmark.config.settings import Decide, Vad
from earmark.errors import ConfigError
from earmark.listening.plan import Plan
from earmark.tuning.replay import Decided, Step, decide_again


def decisions(plan: Plan, steps: Sequence[Step]) -> Callable[[Decide], Decided]:
    """Return the function from settings to what this classifier would decide by them."""

    def decide(settings: Decide) -> Decided:
        changed = replace(plan, settings=msgspec.structs.replace(plan.settings, decide=settings))
        return decide_again(steps, changed.rules, sliding=plan.settings.mode == "sliding")

    return decide


def with_gate(plan: Plan, value: float) -> Plan:
    """Return the classifier with another threshold of its gate. Raises ConfigError where that cannot be."""
    gate, vad = plan.settings.gate, plan.settings.vad
    if gate == "open":
        raise ConfigError(f"--gate: the gate of {plan.name} is always open; choose another with --classifier")
    changes = {"threshold": value} if gate == "speech" else {"level_db": value}
    try:
        checked = msgspec.convert({**msgspec.to_builtins(vad), **changes}, Vad)
    except msgspec.ValidationError as error:
        raise ConfigError(f"--gate: {value:g} is no value for {plan.name}: {error}") from None
    return replace(plan, settings=msgspec.structs.replace(plan.settings, vad=checked))
