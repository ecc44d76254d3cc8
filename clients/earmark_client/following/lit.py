"""The labels that are on."""

from __future__ import annotations

from earmark.protocol.events import Event, Label


class Lit:
    """The labels that are on, as far as the stream has told."""

    def __init__(self) -> None:
        self._labels: dict[str, Label] = {}

    def take(self, event: Event) -> None:
        """Note whether `event` turns a label on or off."""
        if isinstance(event, Label):
            if event.state == "on" and event.end is None:
                self._labels[event.id] = event
            else:
                self._labels.pop(event.id, None)

    def forget(self) -> list[Label]:
        """Return each `on` that nothing is known of any more."""
        labels = list(self._labels.values())
        self._labels.clear()
        return labels
