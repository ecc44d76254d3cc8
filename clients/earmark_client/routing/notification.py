"""Desktop notifications, as the arguments of the program that shows them."""

from __future__ import annotations

SCRIPT = ("on run argv", 'display notification (item 1 of argv) with title "Earmark"', "end run")
TEXT = "{label} ({source})"


def program(platform: str) -> tuple[str, str]:
    """Return the program that shows notifications on a platform, and what to say where it is missing."""
    if platform == "darwin":
        return "osascript", ""
    return "notify-send", "; on Debian and its relatives: apt install libnotify-bin"


def arguments(text: str, platform: str) -> tuple[str, ...]:
    """Return the program and its arguments. The text is one argument and never part of a script."""
    name, _ = program(platform)
    if platform == "darwin":
        return (name, *(part for line in SCRIPT for part in ("-e", line)), text)
    return (name, "--app-name=Earmark", "--", "Earmark", text)
