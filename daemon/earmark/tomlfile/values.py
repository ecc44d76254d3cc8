"""Values as a configuration file has them."""

from __future__ import annotations

import json


def toml(value: object) -> str:
    """Return a text, a number, a boolean or a list of them in TOML. JSON has the same syntax for these."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
