"""The text of the metrics, read as Prometheus reads it."""

from __future__ import annotations

import msgspec
import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_openmetrics
from prometheus_client.parser import text_string_to_metric_families as read

from earmark.inference.engine import EndpointStats
from earmark.journal.journal import JournalStats
from earmark.protocol.events import Label, SourceInfo
from earmark.protocol.readiness import Need, Needs
from earmark.telemetry.endpoint import exposed
from earmark.telemetry.snapshot import Snapshot
from earmark.telemetry.tally import Tally
from tests.journalled import published
from tests.unit.telemetry.test_snapshot import recorded_daemon

NEEDS: Needs = {"listening": Need(True), "clips": Need(False, {"model": "/srv/models/secret"})}
TIME = "2026-11-22T07:31:05.120Z"
OPENMETRICS = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5"


def values(snapshot: Snapshot) -> dict[str, float]:
    """Each sample as it is written, `name{label="value"}`, with its value."""
    found = {}
    for family in read(exposed(snapshot, NEEDS)[0].decode()):
        for sample in family.samples:
            labels = ",".join(f'{name}="{value}"' for name, value in sorted(sample.labels.items()))
            found[f"{sample.name}{{{labels}}}" if labels else sample.name] = sample.value
    return found


@pytest.mark.parametrize(
    ("sample", "value"),
    [
        ('earmark_ready{purpose="clips"}', 0),
        ('earmark_source_state{source="desk",state="listening"}', 1),
        ('earmark_source_state{source="desk",state="lost"}', 0),
        ('earmark_source_heard_seconds_total{source="desk"}', 3),
        ('earmark_gate_open_seconds_total{classifier="commands",source="desk"}', 1.5),
        ('earmark_lost_seconds_total{cause="device"}', 3.5),
        ('earmark_lost_seconds_total{cause="worker"}', 0),
        ('earmark_batch_windows_bucket{le="1.0"}', 2),
        ('earmark_batch_windows_bucket{le="+Inf"}', 3),
        ("earmark_batch_windows_sum", 3),
        ('earmark_inference_seconds_count{model="earmark/commands"}', 1),
        ('earmark_lag_seconds_sum{classifier="commands"}', 0.2),
        ('earmark_events_total{type="result"}', 5),
        ('earmark_events_total{type="loss"}', 0),
        ('earmark_labels_total{classifier="commands",label="stop"}', 2),
        ('earmark_http_responses_total{status="404"}', 1),
        ('earmark_reloads_total{outcome="refused"}', 1),
        ("earmark_last_reload_successful", 0),
        ("earmark_senders", 1),
        ("earmark_certificate_expiry_timestamp_seconds", 1795900000),
        ('earmark_http_responses_total{status="500"}', 0),
        ('earmark_handshakes_refused_total{status="401"}', 0),
        ('earmark_config_changes_total{cause="api"}', 1),
        ('earmark_config_changes_total{cause="reload"}', 0),
        ('earmark_model_loaded{model="a/model"}', 0),
        ('earmark_resident_memory_bytes{process="daemon"}', 82.5e6),
        ("earmark_loop_tasks", 21),
        ("earmark_loop_late_seconds_count", 8),
    ],
)
def test_a_metric_has_the_value_of_the_snapshot(sample: str, value: float) -> None:
    assert values(recorded_daemon())[sample] == value


def test_the_metrics_of_the_journal_have_samples_if_there_is_one() -> None:
    journal = JournalStats("full", "/srv: no space left on device", "/srv/journal", 10, 4096, 3, 12, 64, 2, 1)
    kept = values(msgspec.structs.replace(recorded_daemon(), journal=journal))
    assert {name.removeprefix("earmark_journal_"): value for name, value in kept.items() if "_journal_" in name} == {
        'state{state="ok"}': 0,
        'state{state="full"}': 1,
        'state{state="error"}': 0,
        "events": 10,
        "size_bytes": 4096,
        "oldest_event_number": 3,
        "waiting_bytes": 64,
        "lost_total": 2,
        "errors_total": 1,
    }
    assert [name for name in values(recorded_daemon()) if "_journal_" in name] == []


def test_each_endpoint_has_its_own_samples_and_the_engine_here_has_none() -> None:
    here = recorded_daemon()
    ends = (EndpointStats("a.lan:8001", True, "", 3, 70, 2, 1), EndpointStats("b.lan:8001", False, "gone", 0, 5, 9, 0))
    worker = msgspec.structs.replace(here.worker, endpoints=ends, retried=4, here=6)
    told = values(msgspec.structs.replace(here, worker=worker))
    assert {name.removeprefix("earmark_endpoint_"): value for name, value in told.items() if "endpoint" in name} == {
        'ready{endpoint="a.lan:8001"}': 1,
        'ready{endpoint="b.lan:8001"}': 0,
        'in_flight{endpoint="a.lan:8001"}': 3,
        'in_flight{endpoint="b.lan:8001"}': 0,
        'batches_total{endpoint="a.lan:8001",outcome="answered"}': 70,
        'batches_total{endpoint="a.lan:8001",outcome="failed"}': 2,
        'batches_total{endpoint="b.lan:8001",outcome="answered"}': 5,
        'batches_total{endpoint="b.lan:8001",outcome="failed"}': 9,
        'late_total{endpoint="a.lan:8001"}': 1,
        'late_total{endpoint="b.lan:8001"}': 0,
        "retries_total": 4,
    }
    assert told["earmark_fallback_batches_total"] == 6
    assert [name for name in values(here) if "endpoint" in name] == ["earmark_endpoint_retries_total"]


def test_what_is_not_known_is_left_out() -> None:
    assert 'earmark_resident_memory_bytes{process="worker"}' not in values(recorded_daemon())


def test_a_port_without_tls_tells_no_certificate() -> None:
    now = recorded_daemon()
    plain = msgspec.structs.replace(now.connections, certificate_expires=None)
    told = values(msgspec.structs.replace(now, connections=plain))
    assert [name for name in told if "certificate" in name] == []


def test_no_device_path_or_detail_is_told() -> None:
    sources = (SourceInfo("desk", "lost", "/dev/snd/pcmC0", detail="/dev/snd/pcmC0 went away"),)
    text = exposed(msgspec.structs.replace(recorded_daemon(), sources=sources), NEEDS)[0].decode()
    assert [word for word in ("/dev", "/srv", "pcm", "demo.flac", "went away") if word in text] == []


def test_open_metrics_are_told_to_those_that_accept_them() -> None:
    body, form = exposed(recorded_daemon(), NEEDS, OPENMETRICS)
    assert form.startswith("application/openmetrics-text; version=1.0.0")
    samples = {sample.name for family in read_openmetrics(body.decode()) for sample in family.samples}  # type: ignore[no-untyped-call]  # the library has no types here
    plain = read(exposed(recorded_daemon(), NEEDS)[0].decode())
    assert samples == {sample.name for family in plain for sample in family.samples}


def test_names_of_any_characters_are_read_back_as_they_are_and_a_hundred_labels_have_their_own_count() -> None:
    tally, classifier = Tally(), 'a "b"\\\n{c="d"} \u2028é😀'
    for number in range(500):
        name = f'la"b\\e\nl{{{number}}}é'
        tally.publish(published(Label(number + 1, TIME, "desk", classifier, "e-1", name, "on", 1.0, score=0.8)))
    snapshot = msgspec.structs.replace(recorded_daemon(), events=tally.stats())
    for accept, reads in (("", read), (OPENMETRICS, read_openmetrics)):
        text = exposed(snapshot, NEEDS, accept)[0].decode()
        counts = {
            sample.labels["label"]: sample.value
            for family in reads(text)
            for sample in family.samples
            if sample.name == "earmark_labels_total" and sample.labels["classifier"] == classifier
        }
        assert counts == {f'la"b\\e\nl{{{number}}}é': 1 for number in range(100)} | {"other": 400}
