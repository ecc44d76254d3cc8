"""`earmarkd --check`: whether a configuration would run, found out without running it."""

from __future__ import annotations

from earmark.app.plan import plans
from earmark.audio.recording import check
from earmark.config import settings as config
from earmark.protocol import licence
from earmark.server import token_file


def verify(settings: config.Config) -> list[str]:
    """Check models, recordings and the file of tokens. Returns one line for each classifier. Raises EarmarkError."""
    lines = [
        f"classifier {plan.name}: {plan.checkpoint.name}, {len(plan.checkpoint.labels)} labels, "
        f"{plan.settings.gate} gate, {plan.settings.mode}, hears {', '.join(plan.sources)}; "
        f"licence {licence.told(plan.checkpoint.licence)}"
        for plan in plans(settings)
    ]
    token_file.read(settings.server.token_file)
    for source in settings.source:
        if isinstance(source, config.File):
            check(source.path)
    return lines
