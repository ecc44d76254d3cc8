"""What /metrics of a real daemon tells, and the alert rules and the dashboard that stand on it."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import subprocess
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any
from urllib.error import HTTPError
from urllib.request import ProxyHandler, Request, build_opener

import pytest
import soundfile
import yaml  # type: ignore[import-untyped]  # a dependency of huggingface-hub
from prometheus_client.parser import text_string_to_metric_families

from earmark.config import settings as config
from earmark.protocol.readiness import Need
from earmark.telemetry.endpoint import Metrics
from tests.daemon import DEADLINE, ROOT, Daemon
from tests.serving import Serving, serve
from tests.unit.telemetry.test_snapshot import recorded_daemon

EXAMPLES = ROOT / "config" / "examples"
DASHBOARD, ALERTS, PROMETHEUS = (EXAMPLES / name for name in ("grafana-dashboard.json", "alerts.yml", "prometheus.yml"))
ALERTS_TEST = Path(__file__).parent / "alerts_test.yml"
TOKEN = "a-token-that-is-long-enough"
DEMO = ROOT / "daemon" / "earmark" / "demo" / "demo.flac"
WORDS = {"and", "or", "unless", "by", "without", "on", "ignoring", "group_left", "group_right", "offset", "bool"}


class Scrape:
    """The samples of one scrape."""

    def __init__(self, address: str, headers: Mapping[str, str] = MappingProxyType({})) -> None:
        opener = build_opener(ProxyHandler({}))
        with opener.open(Request(f"http://{address}/metrics", headers=dict(headers)), timeout=DEADLINE) as answer:
            self.form = answer.headers["content-type"]
            self.text = answer.read().decode()
        self.families = list(text_string_to_metric_families(self.text))
        self.samples = [sample for family in self.families for sample in family.samples]

    def sum(self, name: str, **labels: str) -> float:
        """The sum of all samples of this name and with these labels."""
        return sum(each.value for each in self.samples if each.name == name and labels.items() <= each.labels.items())

    def by(self, name: str, *labels: str) -> dict[tuple[str, ...], float]:
        """The samples of this name, by some of their labels."""
        return {tuple(each.labels[label] for label in labels): each.value for each in self.samples if each.name == name}

    @property
    def counters(self) -> dict[tuple[str, str], float]:
        """Everything that never falls."""
        return {
            (sample.name, str(sorted(sample.labels.items()))): sample.value
            for family in self.families
            if family.type in ("counter", "histogram") and not family.name.startswith("process")
            for sample in family.samples
        }

    @property
    def names(self) -> set[str]:
        """The names of all series that the families have or can have."""
        found: set[str] = set()
        for name, kind in re.findall(r"^# TYPE (\S+) (\S+)", self.text, re.MULTILINE):
            found |= {name + end for end in ("_bucket", "_sum", "_count")} if kind == "histogram" else {name}
        return found


class Heard:
    """A daemon that heard the demo recording as fast as it could, and what it told at the end and on the way."""

    def __init__(self, state: Path) -> None:
        arguments = ("--config", str(EXAMPLES / "all-three.toml"), "--file", str(DEMO), "--fast")
        with Daemon(*arguments, extra={"XDG_STATE_HOME": str(state)}) as daemon:
            self.scrapes = [Scrape(daemon.address)]
            while not self._is_done(self.scrapes[-1]):
                time.sleep(0.2)  # as Prometheus does, only sooner
                self.scrapes.append(Scrape(daemon.address))
            self.scrapes.append(Scrape(daemon.address))
            self.end = self.scrapes[-1]
            daemon.end()
            self.events = [each for each in daemon.events if each["type"] not in ("hello", "subscribed")]

    @property
    def seq(self) -> int:
        """The newest number at the end."""
        return int(self.end.sum("earmark_newest_event_number"))

    def _is_done(self, now: Scrape) -> bool:
        outstanding = now.sum("earmark_source_outstanding_windows")
        return bool(now.sum("earmark_source_state", state="stopped")) and not outstanding

    def told(self, kind: str) -> list[dict[str, Any]]:
        """The events of a type among those that the scrape at the end has counted."""
        return [each for each in self.events if each["type"] == kind and each["seq"] <= self.seq]


@pytest.fixture(scope="module")
def heard(tmp_path_factory: pytest.TempPathFactory) -> Heard:
    return Heard(tmp_path_factory.mktemp("state"))


def test_the_events_that_were_counted_are_as_many_as_the_newest_number_says(heard: Heard) -> None:
    assert heard.end.sum("earmark_events_total") == heard.seq
    assert [each["seq"] for each in heard.events[: heard.seq]] == list(range(1, heard.seq + 1))
    assert heard.end.sum("earmark_events_total", type="result") > 0


def test_the_labels_that_were_counted_are_those_that_went_on(heard: Heard) -> None:
    on = Counter((each["classifier"], each["label"]) for each in heard.told("label") if each["state"] == "on")
    assert heard.end.by("earmark_labels_total", "classifier", "label") == on
    assert {classifier for classifier, _ in on} == {"commands", "emotion", "sounds"}


def test_the_seconds_heard_are_those_of_the_recording_and_the_gates_were_open_for_a_part_of_them(heard: Heard) -> None:
    seconds = soundfile.info(DEMO).duration
    assert heard.end.sum("earmark_source_heard_seconds_total") == pytest.approx(seconds, abs=0.05)
    opened = heard.end.by("earmark_gate_open_seconds_total", "classifier")
    assert opened.keys() == {("commands",), ("emotion",), ("sounds",)}
    assert [name for name, length in opened.items() if not 1 < length <= seconds] == []


def test_nothing_was_lost_and_every_window_was_given_to_the_model_in_a_batch(heard: Heard) -> None:
    end = heard.end
    assert end.sum("earmark_lost_seconds_total") == end.sum("earmark_windows_dropped_total") == 0
    windows = end.sum("earmark_source_windows_total")
    assert end.sum("earmark_windows_sent_total") == end.sum("earmark_batch_windows_sum") == windows > 0
    assert end.sum("earmark_inference_seconds_count") == end.sum("earmark_batch_windows_count")


def test_the_lag_of_every_result_was_counted(heard: Heard) -> None:
    assert heard.end.sum("earmark_lag_seconds_count") == len(heard.told("result"))


def test_the_journal_takes_every_event(heard: Heard) -> None:
    assert heard.end.sum("earmark_journal_state", state="ok") == 1
    assert heard.end.sum("earmark_journal_lost_total") == heard.end.sum("earmark_journal_errors_total") == 0
    assert 0 < heard.end.sum("earmark_journal_events") <= heard.seq


def test_no_counter_ever_falls(heard: Heard) -> None:
    assert len(heard.scrapes) > 1
    for before, after in zip(heard.scrapes, heard.scrapes[1:], strict=False):
        fallen = [key for key, value in before.counters.items() if after.counters.get(key, 0) < value]
        assert fallen == []


def test_no_path_or_device_is_told(heard: Heard) -> None:
    assert [word for word in (str(ROOT), "demo.flac", "/tmp", "/home") if word in heard.end.text] == []


def test_a_scrape_needs_a_token_of_any_scope_if_the_daemon_has_tokens(tmp_path: Path) -> None:
    tokens = tmp_path / "tokens"
    tokens.write_text(f"{TOKEN}\n")
    tokens.chmod(0o600)
    routes = Metrics(recorded_daemon, lambda: {"clips": Need(True)}).routes()

    async def scenario(serving: Serving) -> None:
        with pytest.raises(HTTPError) as refused:
            await asyncio.to_thread(Scrape, serving.host)
        refused.value.close()
        scrape = await asyncio.to_thread(Scrape, serving.host, {"authorization": f"Bearer {TOKEN}"})
        assert (refused.value.code, "earmark_ready" in scrape.names) == (401, True)
        assert serving.server.stats().responses == {401: 1, 200: 1}

    serve(scenario, config.Server(listen="127.0.0.1:0", token_file=str(tokens)), routes=routes)


def alerts() -> list[dict[str, Any]]:
    (group,) = yaml.safe_load(ALERTS.read_text())["groups"]
    rules: list[dict[str, Any]] = group["rules"]
    return rules


def dashboard() -> Iterator[tuple[str, str]]:
    """The title of each panel and each of its queries, with values for Grafana's variables."""
    for panel in json.loads(DASHBOARD.read_text())["panels"]:
        for target in panel.get("targets", ()):
            yield panel["title"], target["expr"].replace("$__rate_interval", "5m")


def metrics_in(query: str) -> set[str]:
    """The names of metrics in a PromQL query: neither labels, functions, words of the language nor numbers."""
    bare = re.sub(r'"[^"]*"', "", query)
    bare = re.sub(r"\{[^}]*\}|\[[^]]*\]|\b(?:by|without|on|ignoring)\s*\([^)]*\)|offset\s+\w+", " ", bare)
    return set(re.findall(r"(?<![\w.])[a-zA-Z_:][\w:]*(?!\s*\(|\w)", bare)) - WORDS


def test_a_query_is_read_as_it_is_meant() -> None:
    found = metrics_in(
        'histogram_quantile(0.9, sum by (le) (rate(b_bucket{c="d"}[5m]))) / on (x) group_left e offset 1h'
    )
    assert found == {"b_bucket", "e"}


def test_every_query_of_the_dashboard_names_metrics_that_the_daemon_tells(heard: Heard) -> None:
    assert {title: metrics_in(query) - heard.end.names for title, query in dashboard()} == {
        title: set() for title, _ in dashboard()
    }


def test_every_alert_names_metrics_that_the_daemon_tells(heard: Heard) -> None:
    known = heard.end.names | {"up"}  # which Prometheus itself makes
    unknown = {rule["alert"]: metrics_in(rule["expr"]) - known for rule in alerts()}
    assert [name for name, names in unknown.items() if names] == []
    assert all(metrics_in(rule["expr"]) for rule in alerts())


def test_every_alert_says_what_to_do_and_has_a_test_in_which_it_fires_and_one_in_which_it_does_not() -> None:
    assert [rule["alert"] for rule in alerts() if not rule["annotations"]["runbook"].endswith(".")] == []
    cases = [case for test in yaml.safe_load(ALERTS_TEST.read_text())["tests"] for case in test["alert_rule_test"]]
    tested = {(case["alertname"], bool(case["exp_alerts"])) for case in cases}
    assert tested == {(rule["alert"], fires) for rule in alerts() for fires in (True, False)}


def promtool(*arguments: str, text: str | None = None) -> subprocess.CompletedProcess[str]:
    program = shutil.which("promtool")
    if program is None:
        pytest.skip("promtool is not installed (Debian's package prometheus)")
    return subprocess.run([program, *arguments], input=text, capture_output=True, text=True, timeout=DEADLINE)


def test_promtool_takes_what_a_daemon_tells(heard: Heard) -> None:
    done = promtool("check", "metrics", text=heard.end.text)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert heard.end.form == "text/plain; version=0.0.4; charset=utf-8"


def test_promtool_takes_the_rules_and_the_scrape_configuration() -> None:
    for done in (promtool("check", "rules", str(ALERTS)), promtool("check", "config", str(PROMETHEUS))):
        assert done.returncode == 0, done.stderr


def test_each_alert_fires_when_it_should() -> None:
    done = promtool("test", "rules", str(ALERTS_TEST))
    assert done.returncode == 0, done.stdout + done.stderr


def test_promtool_understands_every_query_of_the_dashboard(tmp_path: Path) -> None:
    rules = [{"record": f"query:{number}", "expr": query} for number, (_, query) in enumerate(dashboard())]
    file = tmp_path / "queries.json"  # JSON is YAML
    file.write_text(json.dumps({"groups": [{"name": "dashboard", "rules": rules}]}))
    done = promtool("check", "rules", str(file))
    assert done.returncode == 0, done.stdout + done.stderr
