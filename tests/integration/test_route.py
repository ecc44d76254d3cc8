"""`earmark route` with real daemons, programs, HTTP servers and brokers: each command once and in order."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import hmac
import json
import os
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import aiomqtt
import pytest

from earmark.config.resolve import DEMO
from earmark_client.route.program import run
from tests.daemon import ROOT, Daemon
from tests.mosquitto import MISSING, Mosquitto, Witness
from tests.ports import free_port
from tests.relay import Relay
from tests.running import COMMAND, ENVIRONMENT, earmark
from tests.serving import DEADLINE, Serving, serve


class Router:
    """`earmark route` on a routes file in `folder`, with its state and its log there; killed and started at will."""

    def __init__(self, folder: Path, routes: str, host: str, **environment: str) -> None:
        self.folder, self.host = folder, host
        self.file, self.log, self.errors = folder / "routes.toml", folder / "log", folder / "errors"
        self.file.write_text(routes)
        self._environment = {**ENVIRONMENT, "PYTHONPATH": f"{ROOT / 'daemon'}:{ROOT / 'clients'}", **environment}
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it; its notices are added to the file `errors`."""
        names = ("--url", self.host, "--state", str(self.folder / "state"), "--log", str(self.log), "--quiet")
        with self.errors.open("ab") as errors:
            self.process = subprocess.Popen(
                [*COMMAND, "route", str(self.file), *names],
                stdout=errors,
                stderr=errors,
                stdin=subprocess.DEVNULL,
                env=self._environment,
            )

    def kill(self) -> None:
        assert self.process is not None
        assert self.process.poll() is None, self.errors.read_text()
        self.process.kill()
        self.process.wait(DEADLINE)

    def end(self) -> int:
        """SIGTERM, and its exit code."""
        assert self.process is not None
        self.process.terminate()
        return self.process.wait(DEADLINE)

    def signal(self, number: signal.Signals) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def entries(self, *did: str) -> list[dict[str, Any]]:
        """The lines of the log whose `did` is one of these."""
        lines = self.log.read_text().splitlines() if self.log.exists() else []
        return [entry for line in lines if (entry := json.loads(line))["did"] in did]


@contextlib.contextmanager
def routing(folder: Path, routes: str, host: str, **environment: str) -> Iterator[Router]:
    """A router that has been started, and is killed at the end if it still runs."""
    router = Router(folder, routes, host, **environment)
    router.start()
    try:
        yield router
    finally:
        if router.process is not None and router.process.poll() is None:
            router.kill()


async def until(holds: Callable[[], object], what: Callable[[], object] = lambda: "") -> None:
    """Wait for what another process does."""
    deadline = time.monotonic() + DEADLINE
    while not holds():
        assert time.monotonic() < deadline, what()
        await asyncio.sleep(0.01)


def hear(serving: Serving, label: str = "stop") -> int:
    """Publish a command of this moment."""
    serving.now = datetime.now(UTC)
    return serving.hear(label)


async def connected(serving: Serving, count: int = 1) -> None:
    await serving.until(lambda: serving.hub.stats().subscribers == count)


def script(folder: Path, name: str, text: str) -> Path:
    """A program that writes to files beside it."""
    file = folder / name
    file.write_text(f"#!/bin/sh\n{text}\n")
    file.chmod(0o755)
    return file


# ---- programs ----

SETTINGS = """
[journal]
path = "{folder}"

[[source]]
kind = "file"
name = "one"
path = "{demo}"
loop = true

[[source]]
kind = "file"
name = "two"
path = "{demo}"
loop = true

[[source]]
kind = "file"
name = "three"
path = "{demo}"
loop = true

[[classifier]]
name = "words"
gate = "open"
mode = "sliding"
hop = 0.05
decide.hits = 1
decide.on = 0.5
decide.off = 0.4
decide.min_on = 0.1
"""
EVERY_LABEL = """
[[route]]
name = "r"
on = "both"
max_age = 3600
queue = 1000
run = ["./note.sh"]
"""


@pytest.mark.realtime
def test_each_command_runs_once_and_in_order_over_cut_connections_and_killed_daemons_and_routers(
    tmp_path: Path,
) -> None:
    settings = tmp_path / "earmark.toml"
    settings.write_text(SETTINGS.format(folder=tmp_path / "kept", demo=DEMO))
    script(tmp_path, "note.sh", 'echo "$EARMARK_EVENT_ID" >> ran; sleep 0.05; echo "$EARMARK_EVENT_ID" >> ended')
    port = free_port()
    told: list[dict[str, Any]] = []

    def ran() -> list[int]:
        file = tmp_path / "ran"
        return [int(line.split(":")[1]) for line in file.read_text().split()] if file.exists() else []

    async def more(than: int) -> None:
        await until(lambda: len(ran()) > than, lambda: (tmp_path / "errors").read_text())

    async def disturb(relay: Relay, router: Router, kills: int) -> None:
        """Cut the connection and kill the router, each while commands come."""
        for kill in range(kills):
            begun = len(ran())
            await more(begun + 2)
            relay.cut()
            await more(begun + 4)
            await asyncio.sleep(0.03 * kill)
            router.kill()
            router.start()

    async def main() -> None:
        async with Relay(port) as relay:
            with routing(tmp_path, EVERY_LABEL, relay.host) as router:
                with Daemon("--config", str(settings), port=port) as daemon:
                    await disturb(relay, router, 2)
                    os.kill(daemon.process.pid, signal.SIGKILL)
                    daemon.process.wait(DEADLINE)
                    with contextlib.suppress(AssertionError):  # the rest of what it told, until its end
                        await asyncio.to_thread(daemon.until, lambda event: False)
                told.extend(daemon.events)
                with Daemon("--config", str(settings), port=port) as daemon:
                    await disturb(relay, router, 1)
                    await asyncio.to_thread(daemon.until, is_label, 3)
                    told.extend(daemon.events)
                    last = max(event["seq"] for event in told if is_label(event))
                    await until(lambda: max(ran(), default=0) >= last, router.errors.read_text)
                    router.kill()
                assert relay.cuts
                numbers = ran()
                assert numbers == sorted(set(numbers)), "once, and in order"
                expected = {event["seq"] for event in told if is_label(event) and event["seq"] >= min(numbers)}
                interrupted = {int(entry["event"].split(":")[1]) for entry in router.entries("interrupted")}
                assert expected - set(numbers) <= interrupted
                assert len(interrupted) <= 3
                assert len(numbers) > 10
                assert router.entries("late", "full", "gone") == []

    asyncio.run(main())


def is_label(event: dict[str, Any]) -> bool:
    return bool(event["type"] == "label")


def test_a_program_gets_the_event_in_its_environment_and_on_its_standard_input_and_no_token(tmp_path: Path) -> None:
    script(tmp_path, "show.sh", 'env > env.new; cat > event; printf "%s\\n" "$@" > arguments; mv env.new env')
    routes = '[[route]]\nname = "r"\nrun = ["./show.sh", "{label} {source}", "{{label}}", "$HOME"]\n'

    async def scenario(serving: Serving) -> None:
        with routing(tmp_path, routes, serving.host, EARMARK_TOKEN="secret", EARMARK_PEAK="old") as router:
            await connected(serving)
            seq = hear(serving, "go")
            await until((tmp_path / "env").exists, router.errors.read_text)
            found = dict(line.partition("=")[::2] for line in (tmp_path / "env").read_text().splitlines())
            assert (found["EARMARK_LABEL"], found["EARMARK_STATE"], found["EARMARK_ROUTE"]) == ("go", "on", "r")
            assert found["EARMARK_EVENT_ID"] == f"9f2c61d0:{seq}"
            assert not {"EARMARK_TOKEN", "EARMARK_PEAK"} & found.keys()
            assert json.loads((tmp_path / "event").read_text())["seq"] == seq
            assert (tmp_path / "arguments").read_text() == "go desk\n{label}\n$HOME\n"
            assert router.end() == 0

    serve(scenario)


def test_what_is_too_late_after_a_reconnection_is_told_and_not_run(tmp_path: Path) -> None:
    script(tmp_path, "note.sh", 'echo "$EARMARK_SEQ" >> ran')
    routes = '[[route]]\nname = "r"\nmax_age = 3\nrun = ["./note.sh"]\n'

    async def scenario(serving: Serving) -> None:
        with routing(tmp_path, routes, serving.host) as router:
            await connected(serving)
            first = hear(serving)
            await until((tmp_path / "ran").exists, router.errors.read_text)
            router.kill()
            await connected(serving, 0)
            late = hear(serving)
            await asyncio.sleep(3.1)
            router.start()
            await connected(serving)
            new = hear(serving)
            await until(lambda: str(new) in (tmp_path / "ran").read_text(), router.errors.read_text)
            assert (tmp_path / "ran").read_text().split() == [str(first), str(new)]
            (entry,) = router.entries("late")
            assert entry["event"] == f"9f2c61d0:{late}"
            assert entry["detail"].endswith(" s old, max_age is 3 s")

    serve(scenario)


def test_a_route_that_is_slow_or_hangs_does_not_hold_up_another_one(tmp_path: Path) -> None:
    script(tmp_path, "hang.sh", "sleep 300 & echo $! > child; wait")
    script(tmp_path, "note.sh", 'echo "$EARMARK_SEQ" >> ran')
    routes = '[[route]]\nname = "hang"\ntimeout = 2\nqueue = 0\nwhen_full = "newest"\nrun = ["./hang.sh"]\n'
    routes += '[[route]]\nname = "r"\nrun = ["./note.sh"]\n'

    async def scenario(serving: Serving) -> None:
        with routing(tmp_path, routes, serving.host) as router:
            await connected(serving)
            numbers = [hear(serving) for _ in range(3)]
            await until(lambda: len(router.entries("done")) == 3, router.errors.read_text)
            assert (tmp_path / "ran").read_text().split() == [str(number) for number in numbers]
            await until(lambda: router.entries("timeout"), router.errors.read_text)
            child = int((tmp_path / "child").read_text())
            await until(lambda: not alive(child))
            assert [entry["detail"] for entry in router.entries("full")] == ["0 events wait already"] * 2
            assert router.end() == 0

    serve(scenario)


def alive(pid: int) -> bool:
    """Whether a process runs; one that has ended and that nobody waits for does not."""
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def test_sigterm_waits_for_what_runs_and_leaves_what_waits_to_the_next_router(tmp_path: Path) -> None:
    script(tmp_path, "slow.sh", 'echo "$EARMARK_SEQ" >> begun; while [ ! -e go ]; do sleep 0.02; done; echo x >> ended')
    routes = '[[route]]\nname = "r"\nrun = ["./slow.sh"]\nmax_age = 3600\ntimeout = 60\n'

    async def scenario(serving: Serving) -> None:
        with routing(tmp_path, routes, serving.host) as router:
            await connected(serving)
            numbers = [hear(serving), hear(serving)]
            await until((tmp_path / "begun").exists, router.errors.read_text)
            router.signal(signal.SIGTERM)
            await connected(serving, 0)
            (tmp_path / "go").touch()
            assert router.process is not None
            assert await asyncio.to_thread(router.process.wait, DEADLINE) == 0
            assert (tmp_path / "begun").read_text().split() == [str(numbers[0])]
            assert (tmp_path / "ended").read_text() == "x\n"
            router.start()
            await until(lambda: (tmp_path / "ended").read_text() == "x\nx\n", router.errors.read_text)
            assert (tmp_path / "begun").read_text().split() == [str(number) for number in numbers]

    serve(scenario)


def test_sighup_reads_the_routes_again_and_a_mistake_changes_nothing(tmp_path: Path) -> None:
    script(tmp_path, "note.sh", 'echo "$1 $EARMARK_SEQ" >> ran')
    routes = '[[route]]\nname = "r"\nrun = ["./note.sh", "one"]\n'

    async def scenario(serving: Serving) -> None:
        with routing(tmp_path, routes, serving.host) as router:
            await connected(serving)
            router.file.write_text(routes.replace("run", "runn"))
            router.signal(signal.SIGHUP)
            await until(lambda: "nothing was changed" in router.errors.read_text())
            assert "line 3: route[0].runn: no such setting; did you mean run?" in router.errors.read_text()
            first = hear(serving)
            await until(lambda: router.entries("done"), router.errors.read_text)
            router.file.write_text(routes.replace("one", "two"))
            router.log.rename(tmp_path / "old")
            router.signal(signal.SIGHUP)
            await until(router.log.exists)  # it was opened anew
            second = hear(serving)
            await until(lambda: router.entries("done"))
            assert (tmp_path / "ran").read_text() == f"one {first}\ntwo {second}\n"

    serve(scenario)


def test_two_routers_do_not_share_a_state(tmp_path: Path) -> None:
    async def scenario(serving: Serving) -> None:
        with routing(tmp_path, '[[route]]\nname = "r"\nrun = ["true"]\n', serving.host) as router:
            await connected(serving)
            second = await asyncio.to_thread(
                earmark, "route", str(router.file), "--url", serving.host, "--state", str(tmp_path / "state")
            )
            assert second.returncode == 1
            assert "another `earmark route` uses this state" in second.stderr

    serve(scenario)


def test_a_daemon_that_knows_nothing_of_the_position_is_followed_from_what_is_new(tmp_path: Path) -> None:
    """As after its journal was deleted."""
    script(tmp_path, "note.sh", 'echo "$EARMARK_SEQ" >> ran')

    async def scenario(serving: Serving) -> None:
        with routing(tmp_path, '[[route]]\nname = "r"\nrun = ["./note.sh"]\n', serving.host) as router:
            await connected(serving)
            for _ in range(3):
                hear(serving)
            await until(lambda: len(router.entries("done")) == 3, router.errors.read_text)
            router.kill()

    async def fewer(serving: Serving) -> None:
        with routing(tmp_path, '[[route]]\nname = "r"\nrun = ["./note.sh"]\n', serving.host) as router:
            await connected(serving)
            hear(serving)
            # the numbers are the same as before, and what was done for a number is not done again
            await until(lambda: "what is new" in router.errors.read_text(), router.errors.read_text)

    serve(scenario)
    serve(fewer)


def test_what_a_program_prints_is_bounded_and_its_end_is_kept() -> None:
    script_text = "yes begin | head -c 3000000; echo the end >&2; exit 3"
    outcome = asyncio.run(run(["sh", "-c", script_text], {"PATH": os.environ["PATH"]}, "", "/", 30))
    assert (outcome.how, outcome.exit_code, outcome.detail) == ("failed", 3, "exit code 3")
    assert outcome.output.endswith("the end")
    assert len(outcome.output) <= 4097


def test_a_program_that_leaves_another_one_running_is_done_when_it_ends() -> None:
    outcome = asyncio.run(run(["sh", "-c", "sleep 0.7 & echo left"], {"PATH": os.environ["PATH"]}, "", "/", 30))
    assert (outcome.how, outcome.output) == ("done", "left")


def test_a_program_that_ignores_sigterm_is_killed_and_one_without_a_shebang_is_explained(tmp_path: Path) -> None:
    stubborn = ["sh", "-c", "trap '' TERM; while :; do sleep 0.05; done"]
    outcome = asyncio.run(run(stubborn, {"PATH": os.environ["PATH"]}, "", "/", 2))
    assert (outcome.how, outcome.exit_code) == ("timeout", -signal.SIGKILL)
    broken = tmp_path / "broken"
    broken.write_text("#!/no/such/interpreter\n")
    broken.chmod(0o755)
    outcome = asyncio.run(run([str(broken)], {}, "", "/", 1))
    assert (outcome.how, "is its first line the right one" in outcome.detail) == ("failed", True)


# ---- webhooks ----


class Hooks(ThreadingHTTPServer):
    """Answers each request with the next of `statuses`, and then with 204. `got` is what came."""

    daemon_threads = True

    def __init__(self, *statuses: int) -> None:
        self.statuses, self.got = list(statuses), list[tuple[dict[str, str], bytes]]()
        super().__init__(("127.0.0.1", 0), _Hook)
        self._thread = threading.Thread(target=self.serve_forever, args=(0.01,))

    def __enter__(self) -> Hooks:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self.server_close()
        self._thread.join()

    def routes(self, more: str = "") -> str:
        url = f"http://127.0.0.1:{self.server_port}/hook?x=1"
        return f'[[route]]\nname = "r"\nwebhook = "{url}"\nmax_age = 3600\n{more}\n'


class _Hook(BaseHTTPRequestHandler):
    server: Hooks

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.got.append(({name.lower(): value for name, value in self.headers.items()}, body))
        status = self.server.statuses.pop(0) if self.server.statuses else 204
        self.send_response(status)
        if status == 302:
            self.send_header("Location", "/elsewhere")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        pass


def test_a_webhook_that_fails_first_is_tried_again_with_the_same_id_and_a_signature_and_in_order(
    tmp_path: Path,
) -> None:
    secret = tmp_path / "secret"
    secret.write_text("whsec_" + base64.b64encode(b"key").decode() + "\n")
    secret.chmod(0o600)

    async def scenario(serving: Serving) -> None:
        with (
            Hooks(503, 500) as hooks,
            routing(tmp_path, hooks.routes('secret_file = "secret"'), serving.host) as router,
        ):
            await connected(serving)
            numbers = [hear(serving), hear(serving, "go")]
            await until(lambda: len(router.entries("done")) == 2, router.errors.read_text)
            assert [json.loads(body)["seq"] for _, body in hooks.got] == [numbers[0]] * 3 + [numbers[1]]
            assert [entry["tries"] for entry in router.entries("done")] == [3, 1]
            assert [sent["webhook-id"] for sent, _ in hooks.got] == [
                *[f"9f2c61d0:{numbers[0]}:r"] * 3,
                f"9f2c61d0:{numbers[1]}:r",
            ]
            for sent, body in hooks.got:
                signed = f"{sent['webhook-id']}.{sent['webhook-timestamp']}.".encode() + body
                expected = base64.b64encode(hmac.new(b"key", signed, hashlib.sha256).digest()).decode()
                assert sent["webhook-signature"] == f"v1,{expected}"

    serve(scenario)


@pytest.mark.parametrize(("status", "why"), [(302, "a redirect, which is not followed"), (410, "it answers 410 Gone")])
def test_a_refusal_and_a_redirect_are_final(tmp_path: Path, status: int, why: str) -> None:
    async def scenario(serving: Serving) -> None:
        with Hooks(status) as hooks, routing(tmp_path, hooks.routes(), serving.host) as router:
            await connected(serving)
            hear(serving)
            await until(lambda: router.entries("failed"), router.errors.read_text)
            assert why in router.entries("failed")[0]["detail"]
            assert len(hooks.got) == 1

    serve(scenario)


@pytest.mark.parametrize("retry", [True, False])
def test_a_webhook_that_was_on_its_way_when_the_router_died_is_sent_again_where_that_is_wanted(
    tmp_path: Path, retry: bool
) -> None:
    async def scenario(serving: Serving) -> None:
        more = f"retry = {str(retry).lower()}"
        with Hooks(503) as hooks, routing(tmp_path, hooks.routes(more), serving.host) as router:
            await connected(serving)
            hear(serving)
            await until(lambda: hooks.got, router.errors.read_text)  # and now it waits for the next try
            router.kill()
            router.start()
            did = "done" if retry else "interrupted"
            await until(lambda: router.entries(did), router.errors.read_text)
            assert len(hooks.got) == (2 if retry else 1)
            assert len({sent["webhook-id"] for sent, _ in hooks.got}) == 1

    serve(scenario)


def test_a_server_that_does_not_answer_is_given_up_at_the_timeout(tmp_path: Path) -> None:
    async def scenario(serving: Serving) -> None:
        with socket.create_server(("127.0.0.1", 0)) as silent:
            url = f"http://127.0.0.1:{silent.getsockname()[1]}/"
            routes = f'[[route]]\nname = "r"\nwebhook = "{url}"\ntimeout = 0.3\nretries = 0\n'
            with routing(tmp_path, routes, serving.host) as router:
                await connected(serving)
                hear(serving)
                await until(lambda: router.entries("timeout"), router.errors.read_text)
                assert router.end() == 0

    serve(scenario)


# ---- MQTT ----


@pytest.mark.skipif(bool(MISSING), reason=MISSING)
def test_messages_reach_a_real_broker_once_and_in_order_also_one_that_is_started_late(tmp_path: Path) -> None:
    broker = Mosquitto(tmp_path)
    routes = (
        '[[route]]\nname = "r"\nmax_age = 3600\n'
        f'mqtt = {{host = "127.0.0.1", port = {broker.port}, topic = "earmark/{{source}}/{{label}}"}}\n'
        '[[route]]\nname = "lamp"\nlabel = "go"\nmax_age = 3600\n'
        f"mqtt = {{host = '127.0.0.1', port = {broker.port}, topic = 'lamp/set', retain = true,"
        ' payload = \'{"state":{"on":"{label}"}}\'}\n'
    )

    async def scenario(serving: Serving) -> None:
        with routing(tmp_path, routes, serving.host) as router:
            await connected(serving)
            broker.start()
            async with aiomqtt.Client("127.0.0.1", broker.port) as client:
                await client.subscribe("#", qos=1)
                witness = Witness(client)
                listening = asyncio.create_task(witness.listen())
                numbers = [hear(serving, "go" if number == 2 else "stop") for number in range(5)]
                await until(lambda: len(witness.messages) == 6, router.errors.read_text)
                listening.cancel()
                await asyncio.wait([listening])
            told = [json.loads(payload)["seq"] for topic, payload in witness.messages if topic != "lamp/set"]
            assert told == numbers
            assert witness.latest["lamp/set"] == b'{"state":{"on":"go"}}'
            async with aiomqtt.Client("127.0.0.1", broker.port) as late:
                await late.subscribe("lamp/set")
                assert (await anext(aiter(late.messages))).retain
            broker.stop()
            with socket.create_server(("127.0.0.1", broker.port)) as refusing:
                refusing.settimeout(DEADLINE)
                last = hear(serving)
                (await asyncio.to_thread(refusing.accept))[0].close()  # the first try, in vain
            broker.start()
            await until(lambda: len(router.entries("done")) == 7, router.errors.read_text)
            assert router.entries("done")[-1]["event"] == f"9f2c61d0:{last}"
            assert router.entries("done")[-1]["tries"] > 1

    try:
        serve(scenario)
    finally:
        broker.stop()


# ---- looking before ----


def test_a_check_asks_the_daemon_too_and_ends_with_2_after_an_error(tmp_path: Path) -> None:
    routes = tmp_path / "routes.toml"
    routes.write_text('[[route]]\nname = "r"\nlabel = "stopp"\nrun = ["no-such-program"]\n')

    async def scenario(serving: Serving) -> None:
        done = await asyncio.to_thread(earmark, "route", str(routes), "--check", "--url", serving.host)
        assert done.returncode == 2
        assert done.stdout.splitlines() == [
            f"error: {routes}, line 4: route[0].run: no-such-program: there is no such program",
            f'error: {routes}, line 3: route[0].label: the daemon has no label "stopp"; did you mean stop?',
        ]
        routes.write_text('[[route]]\nname = "r"\nlabel = "stop"\nrun = ["true"]\n')
        done = await asyncio.to_thread(earmark, "route", str(routes), "--check", "--url", serving.host)
        assert (done.returncode, done.stdout) == (0, f"{routes}: 1 route, no errors\n")

    serve(scenario)


def test_the_example_is_checked_without_errors() -> None:
    if shutil.which("notify-send") is None:
        pytest.skip("notify-send is not installed (apt install libnotify-bin)")
    done = earmark("route", "config/examples/routes.toml", "--check", "--url", "127.0.0.1:1")
    assert (done.returncode, "5 routes, no errors" in done.stdout) == (0, True), done.stdout
    assert "nothing listens on 127.0.0.1:1" in done.stdout


def test_a_dry_run_prints_what_would_run_and_why_not_and_runs_nothing(tmp_path: Path) -> None:
    routes = tmp_path / "routes.toml"
    routes.write_text('[[route]]\nname = "r"\nlabel = "stop"\nmin_score = 0.9\nrun = ["touch", "{label} x"]\n')

    async def scenario(serving: Serving) -> None:
        program = subprocess.Popen(
            [*COMMAND, "route", str(routes), "--dry-run", "--url", serving.host],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=ENVIRONMENT,
            cwd=ROOT,
        )
        with program:
            assert program.stdout is not None
            try:
                await connected(serving)
                hear(serving)
                serving.hear(score=0.5)
                lines = [await asyncio.to_thread(program.stdout.readline) for _ in range(3)]
            finally:
                program.send_signal(signal.SIGINT)
            assert await asyncio.to_thread(program.wait, DEADLINE) == 0
        assert lines[1].split(maxsplit=4)[4] == "would run: touch 'stop x'\n"
        assert lines[2].split(maxsplit=4)[4] == "not run: 0.50 is below 0.9\n"
        assert [file.name for file in tmp_path.iterdir()] == ["routes.toml"]

    serve(scenario)


def test_the_systemd_unit_of_the_router_is_valid(tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("needs systemd-analyze (apt install systemd)")
    unit = tmp_path / "earmark-route.service"
    text = (ROOT / "systemd" / "earmark-route.service").read_text()
    unit.write_text(text.replace("%h/.local/share/earmark/venv/bin/earmark", "/bin/true"))
    verified = subprocess.run(["systemd-analyze", "verify", str(unit)], capture_output=True, text=True, timeout=60)
    assert (verified.returncode, verified.stdout + verified.stderr) == (0, "")
