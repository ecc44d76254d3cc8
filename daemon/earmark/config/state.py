"""The folder for what Earmark keeps from one run to the next."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from earmark.errors import ConfigError


def state_folder(environment: Mapping[str, str]) -> Path:
    """Return the folder, which need not exist: the service manager's, else the user's.

    It is the first of $STATE_DIRECTORY, $XDG_STATE_HOME/earmark or ~/.local/state/earmark. Raises ConfigError for a
    user without a home folder.
    """
    if given := environment.get("STATE_DIRECTORY", "").partition(":")[0]:
        return Path(given)
    given = environment.get("XDG_STATE_HOME", "")
    if Path(given).is_absolute():  # the specification says to ignore others
        return Path(given) / "earmark"
    try:
        return Path("~/.local/state/earmark").expanduser()
    except RuntimeError:
        raise ConfigError(
            "this user has no home folder; set STATE_DIRECTORY to a folder, or in the configuration journal.path and"
            " clips.path"
        ) from None
