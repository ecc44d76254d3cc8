"""Prometheus' metric families, made of one snapshot. docs/operations.md explains each of them.

Names and units follow https://prometheus.io/docs/practices/naming/. Label values come from the configuration, from
lists that are fixed in the code, or from counters that are bounded, so that the number of series is bounded too.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import get_args

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from earmark.archive.archive import ArchiveState, ArchiveStats
from earmark.inference.engine import Phase
from earmark.journal.journal import JournalState, JournalStats
from earmark.protocol.events import DEFAULT_TYPES, ConfigCause, LossCause, SourceState
from earmark.protocol.readiness import Needs
from earmark.telemetry.metric import counter, counters, gauge, gauges, histograms, info, maybe
from earmark.telemetry.snapshot import Snapshot

MB = 1e6
STATE = ("source", "state")
DROP_POLICIES = ("oldest", "latest")  # of subscribers: the third one, `close`, drops the subscriber

WATCHED = (401, 403, 429, 500, 503)  # statuses that are told before they occur: a rate needs a zero before the one

_process = ProcessCollector(registry=None)


class Families(Collector):
    """The families of one moment, for an encoder of prometheus_client. Nothing is registered anywhere."""

    def __init__(self, snapshot: Snapshot, needs: Needs) -> None:
        self._snapshot = snapshot
        self._needs = needs

    def collect(self) -> Iterator[Metric]:
        """Return all families. On any thread."""
        yield info("earmark_build", "Versions of Earmark and of the packages that affect scores.", self._versions())
        ready: dict[str, float] = {purpose: float(need.ready) for purpose, need in self._needs.items()}
        yield gauges("earmark_ready", "Whether the daemon serves a purpose: 1 or 0.", "purpose", ready)
        yield from _of_sources(self._snapshot)
        yield from _of_windows(self._snapshot)
        yield from _of_events(self._snapshot)
        yield from _of_subscribers(self._snapshot)
        yield from _of_the_journal(self._snapshot.journal)
        yield from _of_publishers(self._snapshot)
        yield from _of_the_archive(self._snapshot.archive)
        yield from _of_http(self._snapshot)
        yield from _of_processes(self._snapshot)
        yield from _process.collect()

    def _versions(self) -> dict[str, str]:
        return {"version": self._snapshot.version, **self._snapshot.versions}


def _of_sources(now: Snapshot) -> Iterator[Metric]:
    states = GaugeMetricFamily("earmark_source_state", "1 for the state of a source, 0 for all others.", None, STATE)
    for source in now.sources:
        for state in get_args(SourceState):
            states.add_metric((source.name, state), float(source.state == state))
    yield states
    sounds = {each.name: each.sound for each in now.segmenter.sources}
    heard = {name: sound.heard for name, sound in sounds.items()}
    yield counters("earmark_source_heard_seconds", "Seconds of sound that were heard.", "source", heard)
    opened = CounterMetricFamily(
        "earmark_gate_open_seconds", "Seconds of sound in which a gate was open.", None, ("source", "classifier")
    )
    for name, sound in sounds.items():
        for classifier, seconds in sound.open.items():
            opened.add_metric((name, classifier), seconds)
    yield opened
    overflows = {each.name: each.intake.overflows for each in now.segmenter.sources}
    yield counters("earmark_source_overflows", "Times that the sound server lost sound.", "source", overflows)
    windows = {each.name: each.windows for each in now.segmenter.sources}
    yield counters("earmark_source_windows", "Windows that were cut from a source.", "source", windows)
    waiting = {each.name: each.outstanding for each in now.segmenter.sources}
    yield gauges("earmark_source_outstanding_windows", "Windows that have no answer yet.", "source", waiting)
    times = {cause: now.lost[cause].times if cause in now.lost else 0 for cause in get_args(LossCause)}
    yield counters("earmark_losses", "Stretches of sound that were lost.", "cause", times)
    lost = {cause: now.lost[cause].seconds if cause in now.lost else 0.0 for cause in get_args(LossCause)}
    yield counters("earmark_lost_seconds", "Seconds of sound that were lost.", "cause", lost)
    yield counter("earmark_segmenter_rounds", "Rounds of the segmenter thread.", now.segmenter.rounds)
    yield counter("earmark_segmenter_errors", "Errors in which sound was lost.", now.segmenter.errors)


def _of_windows(now: Snapshot) -> Iterator[Metric]:
    windows = now.windows
    yield gauge("earmark_windows_queued", "Windows that wait for the model.", windows.queued)
    yield gauge("earmark_windows_in_flight", "Windows that are with the model now.", windows.in_flight)
    yield gauge("earmark_queue_age_seconds", "Age of the window that waits longest.", windows.oldest)
    yield counter("earmark_windows_sent", "Windows that the model was given.", windows.classified)
    dropped = {"stale": windows.stale, "pushed_out": windows.pushed_out}
    yield counters("earmark_windows_dropped", "Windows that the model was not given.", "reason", dropped)
    text = "Windows at which a second model looked, by what became of them."
    looks = {
        "confirmed": now.second_looks.confirmed,
        "refused": now.second_looks.refused,
        "lost": now.second_looks.lost,
    }
    yield counters("earmark_second_looks", text, "outcome", looks)
    yield histograms("earmark_batch_windows", "Windows in a batch.", "", {"": windows.batches})
    yield histograms(
        "earmark_inference_seconds", "Seconds for which a batch was with the model.", "model", windows.inference
    )


def _of_events(now: Snapshot) -> Iterator[Metric]:
    events = now.events
    types = dict.fromkeys(sorted(DEFAULT_TYPES | {"suppressed"}), 0) | events.types
    yield counters("earmark_events", "Events that were published.", "type", types)
    yield gauge("earmark_newest_event_number", "The number of the newest event.", now.seq)
    changes = dict.fromkeys(get_args(ConfigCause), 0) | events.changes
    yield counters("earmark_config_changes", "Changes of the running daemon.", "cause", changes)
    reloads = {"applied": now.reloads.applied, "refused": now.reloads.refused}
    yield counters("earmark_reloads", "Reloads of the configuration.", "outcome", reloads)
    text = "0 if the last reload was refused, so that the configuration before it holds, else 1."
    yield gauge("earmark_last_reload_successful", text, float(now.reloads.in_force))
    labels = CounterMetricFamily("earmark_labels", "Labels that went on.", None, ("classifier", "label"))
    for classifier, counts in events.labels.items():
        for label, count in counts.items():
            labels.add_metric((classifier, label), count)
    yield labels
    text = "Seconds from the capture of a window's last sample to the publication of its result."
    yield histograms("earmark_lag_seconds", text, "classifier", events.lag)
    yield counters("earmark_sink_failures", "Events that a sink failed on.", "sink", now.failed_sinks)
    lost = {"lines": now.outputs.lost_lines, "events": now.outputs.lost_events}
    yield counters("earmark_output_lost", "Lines or events that could not be written.", "output", lost)


def _of_subscribers(now: Snapshot) -> Iterator[Metric]:
    hub = now.subscribers
    yield gauge("earmark_subscribers", "Subscribers.", hub.subscribers)
    yield gauge("earmark_subscribers_behind", "Subscribers that read too slowly now.", hub.behind)
    yield gauge("earmark_subscribers_replaying", "Subscribers that are sent the past now.", hub.replaying)
    yield counter("earmark_replayed_events", "Events of the past that were sent.", hub.replayed)
    yield gauge("earmark_backlog_events", "Events that wait for slow subscribers.", hub.backlog)
    yield counter("earmark_deliveries", "Events that were written to subscribers.", hub.delivered)
    dropped = {policy: hub.dropped.get(policy, 0) for policy in DROP_POLICIES}
    yield counters("earmark_deliveries_dropped", "Events that slow subscribers did not get.", "policy", dropped)
    skipped = "Levels and ticks that slow subscribers did not get."
    yield counter("earmark_levels_skipped", skipped, hub.skipped)
    evicted = {"too_slow": hub.dropped.get("close", 0), "stalled": hub.aborted}
    yield counters("earmark_subscribers_evicted", "Subscribers that were closed.", "reason", evicted)
    refused = _by_status(hub.refusals)
    yield counters("earmark_handshakes_refused", "WebSocket handshakes that were refused.", "status", refused)


def _of_the_journal(journal: JournalStats | None) -> Iterator[Metric]:
    """Return the families, which have no samples if no journal is kept."""
    kept = [] if journal is None else [journal]
    states = {state: float(each.state == state) for each in kept for state in get_args(JournalState)}
    yield gauges("earmark_journal_state", "1 for the state of the journal, 0 for all others.", "state", states)
    yield maybe(GaugeMetricFamily("earmark_journal_events", "Events that are kept."), [each.events for each in kept])
    size = GaugeMetricFamily("earmark_journal_size_bytes", "Size of the journal's files.")
    yield maybe(size, [each.bytes for each in kept])
    oldest = GaugeMetricFamily("earmark_journal_oldest_event_number", "The number of the oldest event that is kept.")
    yield maybe(oldest, [each.oldest for each in kept])
    waiting = GaugeMetricFamily("earmark_journal_waiting_bytes", "Events that are not in the database yet.")
    yield maybe(waiting, [each.waiting for each in kept])
    lost = CounterMetricFamily("earmark_journal_lost", "Events that the journal did not take.")
    yield maybe(lost, [each.lost for each in kept])
    errors = CounterMetricFamily("earmark_journal_errors", "Attempts to write or read that failed.")
    yield maybe(errors, [each.errors for each in kept])


def _of_publishers(now: Snapshot) -> Iterator[Metric]:
    """Return the families, which have no samples if nothing is published."""
    connected = {each.name: float(each.connected) for each in now.publish}
    yield gauges("earmark_publish_connected", "1 while the broker is connected, else 0.", "publisher", connected)
    connects = {each.name: each.connects for each in now.publish}
    yield counters("earmark_publish_connects", "Connections that the broker took.", "publisher", connects)
    sent = {each.name: each.sent for each in now.publish}
    yield counters("earmark_publish_sent", "Messages that were sent.", "publisher", sent)
    dropped = CounterMetricFamily(
        "earmark_publish_dropped", "Commands and results that were not sent.", None, ("publisher", "reason")
    )
    for each in now.publish:
        for reason, count in each.dropped.items():
            dropped.add_metric((each.name, reason), count)
    yield dropped
    waiting = {each.name: each.waiting for each in now.publish}
    yield gauges("earmark_publish_waiting", "Messages that wait.", "publisher", waiting)
    size = {each.name: each.bytes for each in now.publish}
    yield gauges("earmark_publish_waiting_bytes", "Bytes of the messages that wait.", "publisher", size)


def _of_the_archive(archive: ArchiveStats) -> Iterator[Metric]:
    states = {state: float(archive.state == state) for state in get_args(ArchiveState)}
    text = "1 for the state of the clips that are kept, 0 for all others."
    yield gauges("earmark_kept_clips_state", text, "state", states)
    yield gauge("earmark_kept_clips", "Clips on the disk.", archive.clips)
    yield gauge("earmark_kept_clips_size_bytes", "Size of these clips.", archive.bytes)
    yield gauge("earmark_kept_clips_waiting", "Clips that wait for the disk.", archive.waiting)
    yield counter("earmark_kept_clips_written", "Clips that were written.", archive.written)
    yield counter("earmark_kept_clips_deleted", "Clips that were deleted.", archive.deleted)
    lost = {str(cause): count for cause, count in archive.lost.items()}
    yield counters("earmark_kept_clips_lost", "Clips that could not be kept.", "cause", lost)


def _of_http(now: Snapshot) -> Iterator[Metric]:
    yield gauge("earmark_senders", "Clients that send sound now.", now.senders)
    yield gauge("earmark_connections", "Connections, subscribers included.", now.connections.open)
    refusals = now.connections.refusals
    yield counters("earmark_connections_refused", "Connections that found no place.", "taken", refusals)
    flooding = now.connections.flooding
    yield counters("earmark_flooding_closed", "WebSockets closed for sending too much.", "limit", flooding)
    yield counter("earmark_held_back", "Times that a client was read more slowly.", now.connections.held_back)
    refused = now.connections.refused_requests
    yield counters("earmark_requests_refused", "Requests and handshakes that were refused.", "reason", refused)
    text = "When the certificate of the port expires, in seconds since 1970."
    expires = now.connections.certificate_expires
    certificate = GaugeMetricFamily("earmark_certificate_expiry_timestamp_seconds", text)
    yield maybe(certificate, [] if expires is None else [expires])
    responses = _by_status(now.connections.responses)
    yield counters("earmark_http_responses", "Answers to HTTP requests.", "status", responses)
    yield gauge("earmark_clips_waiting", "Clips that are decoded or classified now.", now.clips.waiting)
    clips = {"answered": now.clips.answered, "refused": now.clips.refused}
    yield counters("earmark_clips", "Requests to classify a clip that have ended.", "outcome", clips)
    text = "Clips that are refused because the model process died on them."
    yield gauge("earmark_clips_deadly", text, now.clips.deadly)
    yield counter("earmark_clips_cached", "Clips that were answered from the cache.", now.clips.cached)
    text = "Clips that were answered from the cache without being decoded."
    yield counter("earmark_clips_recognised", text, now.clips.recognised)
    yield gauge("earmark_clips_kept_answers", "Answers in the cache.", now.clips.kept)
    text = "Requests that are recognised as they are sent, and lead to an answer in the cache."
    yield gauge("earmark_clips_kept_requests", text, now.clips.ways)
    yield gauge("earmark_clips_kept_size_bytes", "Memory of the cache of answers.", now.clips.kept_bytes)


def _of_processes(now: Snapshot) -> Iterator[Metric]:
    phases = {phase: float(now.worker.phase == phase) for phase in get_args(Phase)}
    yield gauges("earmark_worker_phase", "1 for the phase of the model process, 0 for all others.", "phase", phases)
    yield counter("earmark_worker_restarts", "Restarts of the model process.", now.worker.restarts)
    text = "Model processes that were ended or replaced because of their memory."
    yield counter("earmark_worker_outgrown", text, now.worker.outgrown)
    text = "1 while models run on the CPU because the GPU fails or no endpoint serves them, else 0."
    yield gauge("earmark_worker_fallback", text, float(bool(now.worker.fallback)))
    yield from _of_endpoints(now)
    models = dict.fromkeys(now.models.loading, 0.0) | dict.fromkeys(now.models.loaded, 1.0)
    yield gauges("earmark_model_loaded", "1 for a model that is loaded, 0 while it is loading.", "model", models)
    resident = {"daemon": now.memory.daemon_mb, "worker": now.memory.worker_mb}
    known = {name: megabytes * MB for name, megabytes in resident.items() if megabytes is not None}
    yield gauges("earmark_resident_memory_bytes", "Resident memory of a process.", "process", known)
    yield gauge("earmark_loop_tasks", "Tasks of the event loop.", now.loop.tasks)
    text = "How late the event loop comes to its timers."
    yield histograms("earmark_loop_late_seconds", text, "", {"": now.loop.late})


def _of_endpoints(now: Snapshot) -> Iterator[Metric]:
    ends = now.worker.endpoints
    ready = {each.address: float(each.ready) for each in ends}
    yield gauges("earmark_endpoint_ready", "Whether an endpoint answers: 1 or 0.", "endpoint", ready)
    waiting: dict[str, float] = {each.address: each.in_flight for each in ends}
    yield gauges("earmark_endpoint_in_flight", "Batches that wait for an endpoint now.", "endpoint", waiting)
    batches = CounterMetricFamily("earmark_endpoint_batches", "Batches of an endpoint.", None, ("endpoint", "outcome"))
    for each in ends:
        batches.add_metric((each.address, "answered"), each.answered)
        batches.add_metric((each.address, "failed"), each.failed)
    yield batches
    late = {each.address: each.late for each in ends}
    yield counters("earmark_endpoint_late", "Calls that an endpoint did not answer in time.", "endpoint", late)
    text = "Batches that were sent a second time, to another endpoint if there is one."
    yield counter("earmark_endpoint_retries", text, now.worker.retried)
    text = "Batches that a model process here answered in the place of the endpoints."
    yield counter("earmark_fallback_batches", text, now.worker.here)


def _by_status(counts: Mapping[int, int]) -> dict[str, int]:
    return {str(status): count for status, count in (dict.fromkeys(WATCHED, 0) | dict(counts)).items()}
