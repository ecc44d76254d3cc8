from __future__ import annotations

import logging

import pytest

from earmark.access.audit import Audit
from earmark.control.audit_lines import tell
from earmark.control.steering import Change, Changed


def test_each_change_is_a_line_and_no_change_is_one_too(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "earmark.audit")
    tell(Audit(), "SIGHUP", Changed((Change("a", 1, 2), Change("b", None, "x")), ("server.listen",)))
    tell(Audit(), "SIGHUP", Changed((), ("server.listen",)))
    assert caplog.messages == [
        "SIGHUP changed a from 1 to 2",
        'SIGHUP changed b from null to "x"',
        "SIGHUP asked for a change, and there was none to make",
    ]
