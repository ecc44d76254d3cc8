"""What became of a window on its way through the models."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from earmark.audio.types import Floats, Window
from earmark.detection.reorder import Ticket
from earmark.detection.second import SecondModel
from earmark.protocol.events import LossCause
from earmark.windowing.messages import GateClosed


@dataclass(frozen=True, slots=True)
class Unscored:
    """A window for which the model gave no scores."""

    cause: LossCause


Outcome = Floats | Unscored
"""The outcome of a window: what the model answered, or the cause for which it answered nothing."""


@dataclass(frozen=True, slots=True)
class Twice:
    """The outcomes of a window at which two models looked."""

    first: Floats
    second: Outcome


WindowTicket = Ticket[Window | GateClosed, Outcome | Twice]


@dataclass(frozen=True, slots=True)
class Look:
    """A window at which another model shall look. `first` is what the first one answered."""

    ticket: WindowTicket
    window: Window
    model: SecondModel
    first: Floats


Looked = Literal["confirmed", "refused", "lost"]
"""What became of a second look: a label went on by it, or none did, or the other model gave no answer."""
