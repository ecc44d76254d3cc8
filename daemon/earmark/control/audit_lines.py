"""What a change of the running daemon is in the audit log."""

from __future__ import annotations

from earmark.access.audit import Audit
from earmark.control.steering import Changed


def tell(audit: Audit, who: str, changed: Changed) -> None:
    """Write a line for each change, or one that says that there was none."""
    for change in changed.changes:
        audit.changed(who, change.key, change.before, change.after)
    if not changed.changes:
        audit.did(who, "asked for a change, and there was none to make")
