"""The topics of one daemon at an MQTT broker. docs/publish.md shows the scheme."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote


@dataclass(frozen=True, slots=True)
class Topics:
    """Where the node `node` publishes. No two things have one topic: names have no slash, and a label is encoded."""

    prefix: str
    node: str

    @property
    def status(self) -> str:
        """Whether the daemon is there: `online`, or `offline` by its last will."""
        return f"{self.prefix}/{self.node}/status"

    def availability(self, source: str) -> str:
        """Whether the source delivers sound: `online` or `offline`."""
        return f"{self.prefix}/{self.node}/{source}/availability"

    def state(self, source: str) -> str:
        """The state of the source, as JSON."""
        return f"{self.prefix}/{self.node}/{source}/state"

    def current(self, source: str, classifier: str) -> str:
        """The label that is on, or the last command, as JSON."""
        return f"{self.prefix}/{self.node}/{source}/{classifier}/current"

    def label(self, source: str, classifier: str, label: str) -> str:
        """Whether a label is on: `ON` or `OFF`."""
        return f"{self.prefix}/{self.node}/{source}/{classifier}/label/{segment(label)}"

    def event(self, source: str, classifier: str) -> str:
        """Commands, each as the JSON of its event."""
        return f"{self.prefix}/{self.node}/{source}/{classifier}/event"

    def result(self, source: str, classifier: str) -> str:
        """The scores of a window, as the JSON of its event."""
        return f"{self.prefix}/{self.node}/{source}/{classifier}/result"


def segment(label: str) -> str:
    """Return a label as one level of a topic: all but ASCII letters, digits and `_.-~` is percent-encoded."""
    return quote(label, safe="")
