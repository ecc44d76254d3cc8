from __future__ import annotations

from earmark.config import settings as config
from earmark.protocol import endpoints
from earmark_client.address import address


def test_a_daemon_listens_by_default_where_clients_look_for_it() -> None:
    assert config.Server().listen == endpoints.DEFAULT_ADDRESS == address().host


def test_the_port_need_not_be_written_where_it_is_the_default() -> None:
    assert address("kiosk").host == f"kiosk:{endpoints.DEFAULT_PORT}"
