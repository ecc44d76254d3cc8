"""The page beside a real microphone that is unplugged."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import browser, pulse
from tests.browser import Browser
from tests.daemon import Daemon
from tests.pulse import Pulse

MISSING = browser.missing() or pulse.missing()

pytestmark = [pytest.mark.realtime, pytest.mark.skipif(bool(MISSING), reason=MISSING)]

SETTINGS = """
journal = false
[[source]]
kind = "microphone"
name = "desk"
[[classifier]]
name = "commands"
"""
HEARS = "['listening', 'quiet', 'muted'].includes(store.sources.get('desk').state)"


def test_a_microphone_that_is_unplugged_is_lost_on_the_page_and_comes_back(tmp_path: Path) -> None:
    settings = tmp_path / "earmark.toml"
    settings.write_text(SETTINGS)
    with Pulse() as server, Daemon("--config", str(settings), extra=server.environment) as daemon, Browser() as page:
        page.do("open", url=f"http://{daemon.address}/")
        page.until(HEARS)

        server.unplug()
        page.until("document.querySelector('.source .state').innerText === 'Lost; trying again'")

        server.replug()
        page.until(HEARS)
