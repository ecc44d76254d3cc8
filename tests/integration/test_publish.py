"""What is published to a real MQTT broker (mosquitto), by the publisher alone and by the whole daemon."""

from __future__ import annotations

import asyncio
import itertools
import json
import logging
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from earmark.broadcast.publisher import Publisher
from earmark.config.brokers import Mqtt
from earmark.config.settings import Decide
from earmark.detection.draft import Draft
from earmark.protocol.events import ClassifierInfo, Config, Label, Numbered, SourceInfo
from earmark.publish.daemon import Daemon as Described
from earmark.publish.publishing import Publishing, logins
from tests.daemon import ROOT, Daemon, environment
from tests.homeassistant import accepted
from tests.machine import Machine
from tests.mosquitto import MISSING, Mosquitto, Witness, witness
from tests.ports import DEADLINE
from tests.serving import CLASSIFIERS, SOURCES, TIME, command, lasting, result

pytestmark = pytest.mark.skipif(bool(MISSING), reason=MISSING)

DESK = "earmark/home/desk"
DEVICE = "homeassistant/device/earmark-home/desk/config"
HAPPY = f"{DESK}/emotion/label/happy"
DEMO = ROOT / "daemon" / "earmark" / "demo" / "demo.flac"

Scenario = Callable[["House", Witness], Awaitable[None]]


class House:
    """A daemon that hears what the test says, and publishes it."""

    def __init__(self, folder: Path, *settings: Mqtt) -> None:
        self.sources: tuple[SourceInfo, ...] = SOURCES
        self.classifiers: tuple[ClassifierInfo, ...] = CLASSIFIERS
        described = Described(lambda: self.sources, lambda: [(each, Decide()) for each in self.classifiers])
        self.port = settings[0].port
        self.publishing = Publishing(settings, described, folder)
        self._publisher = Publisher([self.publishing])

    def hear(self, *events: Numbered) -> None:
        self._publisher.publish([Draft(event, 0) for event in events])

    async def change(self, *settings: Mqtt) -> None:
        await self.publishing.change(settings, logins(settings))

    async def until_sent(self) -> None:
        async with asyncio.timeout(DEADLINE):
            while self.publishing.stats()[0].waiting:
                await asyncio.sleep(0.01)

    async def until_connected(self, connected: bool = True) -> None:
        async with asyncio.timeout(DEADLINE):
            while self.publishing.stats()[0].connected is not connected:
                await asyncio.sleep(0.01)


def off(identity: str, label: str) -> Label:
    return Label(0, TIME, "desk", "emotion", identity, label, "off", 1.0, end=3.0, reason="quiet")


def settings(port: int, **changes: Any) -> Mqtt:
    return replace(Mqtt(port=port, node="home", every=0.2), **changes)


@asynccontextmanager
async def at_home(folder: Path, *publish: Mqtt) -> AsyncIterator[House]:
    house = House(folder, *publish)
    async with house.publishing:
        yield house


def play(folder: Path, scenario: Scenario, **changes: Any) -> None:
    """Run `scenario` with a broker, a house that publishes there, and a witness."""

    async def run(port: int) -> None:
        async with witness(port) as seen, at_home(folder, settings(port, **changes)) as house:
            await scenario(house, seen)

    with Mosquitto(folder) as broker:
        asyncio.run(run(broker.port))


def test_home_assistant_finds_the_devices_and_labels_arrive_in_order(tmp_path: Path) -> None:
    async def scenario(house: House, seen: Witness) -> None:
        await seen.until_told(HAPPY, "OFF")
        for topic, payload in seen.latest.items():
            if topic.startswith("homeassistant/"):
                accepted(topic, payload)
        assert list(accepted(DEVICE, seen.latest[DEVICE]).components) == [
            *("state", "commands/current", "commands/event"),
            *("emotion/current", "emotion/label/happy", "emotion/label/calm"),
        ]
        assert seen.latest["earmark/home/status"] == seen.latest[f"{DESK}/availability"] == b"online"
        seen.messages.clear()
        house.hear(lasting("e-1", "happy"), command(0), off("e-1", "happy"), result(0, classifier="emotion"))
        await seen.until(lambda: f"{DESK}/emotion/result" in seen.latest)
        assert [payload for topic, payload in seen.messages if topic == HAPPY] == [b"ON", b"OFF"]
        assert json.loads(seen.latest[f"{DESK}/commands/event"])["event_type"] == "stop"
        assert json.loads(seen.latest[f"{DESK}/commands/current"])["label"] == "stop"

    play(tmp_path, scenario)


def test_commands_and_results_are_not_kept_by_the_broker_and_states_are(tmp_path: Path) -> None:
    async def scenario(house: House, seen: Witness) -> None:
        await seen.until_told(HAPPY, "OFF")
        house.hear(command(0), result(0), lasting("e-1", "happy"))
        await seen.until_told(HAPPY, "ON")
        await seen.until(lambda: f"{DESK}/commands/event" in seen.latest and f"{DESK}/commands/result" in seen.latest)
        async with witness(house.port) as later:
            await later.until_told(HAPPY, "ON")
            await later.until(lambda: DEVICE in later.latest)
            assert [topic for topic in later.latest if topic.endswith(("/event", "/result"))] == []

    play(tmp_path, scenario)


def test_a_broker_that_comes_back_is_told_all_that_is_the_case(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "earmark.publish")

    async def run(broker: Mosquitto) -> None:
        async with at_home(tmp_path, settings(broker.port)) as house:
            house.hear(lasting("e-1", "happy"), lasting("e-2", "calm"))
            async with witness(broker.port) as seen:
                await seen.until_told(HAPPY, "ON")
            await asyncio.to_thread(broker.stop)
            await house.until_connected(False)
            house.hear(off("e-1", "happy"), result(0), command(0))
            await asyncio.to_thread(broker.start)
            async with witness(broker.port) as seen:
                await seen.until_told(f"{DESK}/emotion/label/calm", "ON")
                await seen.until_told(HAPPY, "OFF")
                await seen.until(lambda: DEVICE in seen.latest and f"{DESK}/commands/current" in seen.latest)
                assert json.loads(seen.latest[f"{DESK}/commands/current"])["label"] == "stop"
            await house.until_sent()
            (stats,) = house.publishing.stats()
            assert (stats.connects, stats.dropped["away"]) == (2, 1)

    with Mosquitto(tmp_path) as broker:
        asyncio.run(run(broker))
    told = [record.message.partition(" to the broker")[0] for record in caplog.records]
    assert [line for line, _ in itertools.groupby(told)] == [
        "publish mqtt: connected",
        "publish mqtt: no connection",
        "publish mqtt: connected",
    ]
    assert len(told) <= 4  # the reason changes once at most: lost, and then refused


def test_at_the_end_every_label_is_off_and_the_daemon_offline(tmp_path: Path) -> None:
    async def run(port: int) -> None:
        async with witness(port) as seen:
            async with at_home(tmp_path, settings(port)) as house:
                house.hear(lasting("e-1", "happy"))
                await seen.until_told(HAPPY, "ON")
            await seen.until_told("earmark/home/status", "offline")
            assert (seen.latest[HAPPY], seen.latest[f"{DESK}/availability"]) == (b"OFF", b"offline")
            assert seen.messages[-1] == ("earmark/home/status", b"offline")

    with Mosquitto(tmp_path) as broker:
        asyncio.run(run(broker.port))


def test_home_assistant_that_starts_is_told_everything_again(tmp_path: Path) -> None:
    async def scenario(house: House, seen: Witness) -> None:
        await seen.until_told(HAPPY, "OFF")
        seen.latest.clear()
        await seen.client.publish("homeassistant/status", "online", qos=1)
        await seen.until(lambda: DEVICE in seen.latest and HAPPY in seen.latest)

    play(tmp_path, scenario, retain=False)


def test_what_is_no_longer_configured_is_taken_back_also_in_the_next_run(tmp_path: Path) -> None:
    door = SourceInfo("door", "listening")
    _, emotion = CLASSIFIERS

    async def run(port: int) -> None:
        async with witness(port) as seen:
            async with at_home(tmp_path, settings(port)) as house:
                await seen.until_told(HAPPY, "OFF")
                house.sources, house.classifiers = (*SOURCES, door), (emotion,)
                house.hear(Config(0, "", (), (), "reload"))
                await seen.until(lambda: "homeassistant/device/earmark-home/door/config" in seen.latest)
                await seen.until(lambda: f"{DESK}/commands/current" not in seen.latest)
                removing, left = [json.loads(text) for topic, text in seen.messages if topic == DEVICE][-2:]
                assert removing["components"]["commands/event"] == {"platform": "event"}
                assert "commands/event" not in left["components"]
                await seen.until(lambda: "earmark/home/door/availability" in seen.latest)
            async with at_home(tmp_path, settings(port)):
                await seen.until(lambda: not any("door" in topic for topic in seen.latest))
                await seen.until(lambda: f"{DESK}/commands/current" in seen.latest)
            async with at_home(tmp_path, settings(port, discovery=False)):
                await seen.until(lambda: not any(topic.startswith("homeassistant") for topic in seen.latest))
                assert f"{DESK}/availability" in seen.latest

    with Mosquitto(tmp_path) as broker:
        asyncio.run(run(broker.port))


def test_a_label_that_goes_off_because_it_is_gone_leaves_nothing_at_the_broker(tmp_path: Path) -> None:
    async def scenario(house: House, seen: Witness) -> None:
        house.hear(lasting("1", "happy"))
        await seen.until_told(HAPPY, "ON")
        house.classifiers = tuple(replace(each, labels=("new",)) for each in CLASSIFIERS)
        house.hear(off("1", "happy"), Config(0, "", (), (), "api"))
        await seen.until_told(f"{DESK}/emotion/label/new", "OFF")
        assert HAPPY not in seen.latest

    play(tmp_path, scenario)


def test_a_reload_begins_changes_and_ends_publishers(tmp_path: Path) -> None:
    async def run(port: int) -> None:
        one, other = settings(port), settings(port, name="other", node="attic", discovery=False)
        async with witness(port) as seen, at_home(tmp_path, one) as house:
            await seen.until_told("earmark/home/status", "online")
            await house.change(one, other)
            await seen.until_told("earmark/attic/status", "online")
            assert ("earmark/home/status", b"offline") not in seen.messages
            await house.change(settings(port, prefix="ear"), other)
            await seen.until_told("ear/home/status", "online")
            await seen.until_told("earmark/home/status", "offline")
            await house.change()
            assert house.publishing.stats() == ()
            await seen.until_told("ear/home/status", "offline")

    with Mosquitto(tmp_path) as broker:
        asyncio.run(run(broker.port))


def test_a_broker_that_is_not_there_delays_nobody_and_what_waits_is_bounded(tmp_path: Path) -> None:
    async def run(port: int) -> None:
        async with at_home(tmp_path, settings(port, outbox=5)) as house:
            house.hear(*(command(0) for _ in range(1000)))
            (stats,) = house.publishing.stats()
            assert (stats.waiting, stats.dropped["full"], stats.connected) == (5, 995, False)

    with Mosquitto(tmp_path) as broker:
        port = broker.port
    asyncio.run(asyncio.wait_for(run(port), 5))


def test_a_command_that_waited_too_long_is_not_sent(tmp_path: Path) -> None:
    async def scenario(house: House, seen: Witness) -> None:
        await seen.until_told(HAPPY, "OFF")
        house.hear(command(0), lasting("e-1", "happy"))
        await seen.until_told(HAPPY, "ON")
        assert f"{DESK}/commands/event" not in seen.latest
        assert house.publishing.stats()[0].dropped["late"] == 1

    play(tmp_path, scenario, late=0.0)


def test_a_broker_that_takes_connections_and_answers_nothing_does_not_hold_up_the_end(tmp_path: Path) -> None:
    async def run(port: int) -> None:
        async with at_home(tmp_path, settings(port)):
            with silent:
                for _ in range(2):  # the first one only looks whether somebody is there
                    connection, _ = await asyncio.to_thread(silent.accept)
                    connections.append(connection)
            assert await asyncio.to_thread(connections[1].recv, 7) != b""

    connections: list[socket.socket] = []
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(DEADLINE)
        began = time.monotonic()
        asyncio.run(run(silent.getsockname()[1]))
        assert time.monotonic() - began < 10
    for connection in connections:
        connection.close()


def test_a_broker_that_hangs_does_not_hold_up_the_end_and_tells_the_last_will_when_it_goes_on(tmp_path: Path) -> None:
    async def run(broker: Mosquitto) -> None:
        async with witness(broker.port) as seen:
            async with at_home(tmp_path, settings(broker.port)) as house:
                await seen.until_told(HAPPY, "OFF")
                broker.freeze(True)
                house.hear(lasting("e-1", "happy"))
                began = time.monotonic()
            assert time.monotonic() - began < 6 + machine.late(began)
            broker.freeze(False)
            await seen.until_told("earmark/home/status", "offline")

    with Machine() as machine, Mosquitto(tmp_path) as broker:
        asyncio.run(run(broker))


async def _complaint(caplog: pytest.LogCaptureFixture, folder: Path, publish: Mqtt) -> str:
    """The first line that tells why there is no connection."""
    async with at_home(folder, publish), asyncio.timeout(DEADLINE):
        while not caplog.records:
            await asyncio.sleep(0.01)
        return caplog.records[0].message


def _password(folder: Path, text: str) -> str:
    file = folder / "password"
    file.write_text(f"{text}\n")
    file.chmod(0o600)
    return str(file)


def test_a_password_is_told_and_a_wrong_one_refused_with_a_clear_line(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    users = tmp_path / "users"
    subprocess.run(["mosquitto_passwd", "-b", "-c", str(users), "earmark", "right"], check=True, timeout=DEADLINE)
    caplog.set_level(logging.WARNING, "earmark.publish")

    async def run(port: int) -> None:
        wrong = settings(port, username="earmark", password_file=_password(tmp_path, "wrong"))
        line = await _complaint(caplog, tmp_path, wrong)
        assert f"no connection to the broker at 127.0.0.1:{port}: " in line
        assert "Not authorized" in line
        right = settings(port, username="earmark", password_file=_password(tmp_path, "right"))
        async with at_home(tmp_path, right) as house:
            await house.until_connected()

    with Mosquitto(tmp_path, "allow_anonymous false", f"password_file {users}") as broker:
        asyncio.run(run(broker.port))


def _certificates(folder: Path) -> None:
    """An authority of our own, and a certificate by it for localhost and 127.0.0.1."""
    (folder / "names").write_text("subjectAltName=DNS:localhost,IP:127.0.0.1\n")
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    authority = ["-x509", *key, "-keyout", "ca.key", "-out", "ca.pem", "-days", "2", "-subj", "/CN=Earmark test"]
    signing = ["-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-extfile", "names", "-days", "2"]
    for arguments in (
        ["req", *authority],
        ["req", *key, "-keyout", "key.pem", "-out", "request", "-subj", "/CN=localhost"],
        ["x509", "-req", "-in", "request", *signing, "-out", "certificate.pem"],
    ):
        subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True, timeout=DEADLINE)


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")
def test_tls_is_taken_by_a_certificate_of_the_known_authority_alone(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    _certificates(tmp_path)
    caplog.set_level(logging.WARNING, "earmark.publish")

    async def run(port: int) -> None:
        line = await _complaint(caplog, tmp_path, settings(port, tls=True))
        assert "certificate verify failed" in line
        async with at_home(tmp_path, settings(port, tls=True, ca=str(tmp_path / "ca.pem"))) as house:
            await house.until_connected()

    lines = [f"{name} {tmp_path / file}" for name, file in (("certfile", "certificate.pem"), ("keyfile", "key.pem"))]
    with Mosquitto(tmp_path, "allow_anonymous true", *lines) as broker:
        asyncio.run(run(broker.port))


@pytest.mark.realtime
def test_a_daemon_publishes_is_reloaded_and_its_last_will_is_told_when_it_is_killed(tmp_path: Path) -> None:
    file = tmp_path / "earmark.toml"

    def configure(port: int, lines: str) -> None:
        source = f'[[source]]\nkind = "file"\nname = "desk"\npath = "{DEMO}"\nloop = true\n'
        file.write_text(f'journal = false\n{source}[[publish]]\nkind = "mqtt"\nport = {port}\nnode = "home"\n{lines}')

    async def run(port: int) -> None:
        configure(port, "")
        state = {"STATE_DIRECTORY": str(tmp_path / "state")}
        async with witness(port) as seen:
            with Daemon("--config", str(file), extra=state) as daemon:
                await seen.until_told(f"{DESK}/availability", "online")
                await seen.until(lambda: f"{DESK}/commands/event" in seen.latest)
                accepted(DEVICE, seen.latest[DEVICE])
                configure(port, 'discovery = false\nprefix = "ear"\n')
                daemon.process.send_signal(signal.SIGHUP)
                await seen.until_told("ear/home/status", "online")
                await seen.until(lambda: DEVICE not in seen.latest and HAPPY not in seen.latest)
                await seen.until_told("earmark/home/status", "offline")
                daemon.process.kill()
                await seen.until_told("ear/home/status", "offline")

    with Mosquitto(tmp_path) as broker:
        asyncio.run(run(broker.port))


def test_without_publishers_the_library_is_not_imported() -> None:
    code = "import sys, earmark.app.service; sys.exit('aiomqtt' in sys.modules or 'paho' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], env=environment(), timeout=DEADLINE).returncode == 0
