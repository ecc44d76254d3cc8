"""Which mutants are tried, in which order."""

from __future__ import annotations

import random
from collections.abc import Sequence

from tests.mutants.modules import Module
from tests.mutants.mutations import Mutant

FIRST = 40  # mutants of each module, before more is tried of the long ones


def sample(modules: Sequence[Module], seed: int) -> list[tuple[Module, Mutant]]:
    """Return all mutants in an order in which every beginning is a fair sample: 40 of each module come first.

    Those 40 go round the modules, and so does what follows, each module in proportion to what is left of it. The order
    of a module's own mutants depends on `seed` and its name alone, not on the other modules.
    """
    placed: list[tuple[float, str, Module, Mutant]] = []
    for module in modules:
        mutants = list(module.mutants)
        random.Random(f"{seed} {module.name}").shuffle(mutants)
        rest = max(1, len(mutants) - FIRST)
        for place, mutant in enumerate(mutants):
            when = place / FIRST if place < FIRST else 1 + (place - FIRST) / rest
            placed.append((when, module.name, module, mutant))
    placed.sort(key=lambda one: one[:2])
    return [(module, mutant) for _, _, module, mutant in placed]
