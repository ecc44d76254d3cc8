from __future__ import annotations

from typing import Any

import pytest

from earmark.config import presets
from earmark.config.brokers import Mqtt
from earmark.config.complaints import complaints, useless
from earmark.config.settings import Classifier, Clips, Config, Cuda, Decide, Model, Server, Vad, Verify, Worker
from earmark.config.sources import Command, File, Microphone


def of(**classifier: Any) -> Config:
    return Config(classifier=(Classifier(name="c", **classifier),))


@pytest.mark.parametrize("host", ["*", "*.example.org", "https://example.org", "a b", "", "example.org/earmark"])
def test_a_host_that_would_allow_nothing_is_told(host: str) -> None:
    assert list(complaints(Config(server=Server(allow_hosts=(host,))))) == [
        f'server.allow_hosts: "{host}" is no name or address, so it would allow nothing; write each in full'
    ]


@pytest.mark.parametrize("origin", ["*", "https://*.example.org", "example.org", "https://example.org/page", ""])
def test_an_origin_that_would_allow_nothing_is_told(origin: str) -> None:
    (told,) = complaints(Config(server=Server(allow_origins=(origin,))))
    assert told.startswith(f'server.allow_origins: "{origin}" is no origin, so it would allow nothing; ')


@pytest.mark.parametrize(
    "host", ["mqtt://broker:1883", "broker:1883", "192.168.1.9:1883", "user@broker", "a b", "", "[::1]"]
)
def test_a_broker_is_named_without_scheme_port_and_user(host: str) -> None:
    assert list(complaints(Config(publish=(Mqtt(host=host),)))) == [
        f'publish[0].host: "{host}" is no name or address alone; `port` and `tls` are settings of their own'
    ]


@pytest.mark.parametrize("host", ["broker", "homeassistant.local", "192.168.1.9", "::1", "fe80::1%eth0", "2001:db8::9"])
def test_a_broker_may_be_named_or_have_an_address(host: str) -> None:
    assert list(complaints(Config(publish=(Mqtt(host=host),)))) == []


def test_a_publisher_whose_settings_contradict_each_other_is_told() -> None:
    told = complaints(Config(publish=(Mqtt(password_file="p", ca="c", prefix="homeassistant/x"), Mqtt())))
    assert list(told) == [
        'publish: 2 are named "mqtt"; names must differ',
        "publish[0].username: is missing beside password_file; MQTT has no password without a name",
        "publish[0].ca: has no effect without tls = true",
        'publish[0].prefix: "homeassistant/x" is within discovery_prefix, where only discovery may be',
    ]
    fine = Mqtt(name="a", username="u", password_file="p", tls=True, ca="c")
    assert list(complaints(Config(publish=(fine, Mqtt(prefix="homeassistant", discovery=False))))) == []


def test_names_addresses_and_origins_in_full_are_allowed() -> None:
    hosts = ("earmark", "example.org:8765", "192.168.1.20", "[fe80::1%eth0]", "[::1]:80", "fe80::1", "größe.example")
    origins = ("https://example.org", "http://[::1]:3000/", "null", "chrome-extension://abcdef")
    assert list(complaints(Config(server=Server(allow_hosts=hosts, allow_origins=origins)))) == []


@pytest.mark.parametrize("device", ["/(/", "/a{99999999999}/"])
def test_a_device_that_is_no_regular_expression_is_told(device: str) -> None:
    (told,) = complaints(Config(source=(Microphone(name="m", device=device),)))
    assert told.startswith(f"source[0].device: {device!r} is not a regular expression: ")


@pytest.mark.parametrize("device", ["/hall|kitchen/", "(((", "/(((", "(((/", "/", "//", "(", "/a"])
def test_a_device_that_is_a_regular_expression_or_a_plain_name_is_no_complaint(device: str) -> None:
    assert list(complaints(Config(source=(Microphone(name="m", device=device),)))) == []


def test_only_the_text_between_the_slashes_is_the_regular_expression() -> None:
    (told,) = complaints(Config(source=(Microphone(name="m", device="/)+/"),)))
    assert told == "source[0].device: '/)+/' is not a regular expression: unbalanced parenthesis at position 0"


def test_a_regular_expression_cannot_end_in_a_backslash() -> None:
    (told,) = complaints(Config(source=(Microphone(name="m", device="/a\\/"),)))
    assert told.endswith(" is not a regular expression: bad escape (end of pattern) at position 1")


def test_the_path_of_a_recording_is_no_regular_expression() -> None:
    assert list(complaints(Config(source=(File(name="talk", path="/(/"),)))) == []


def test_a_source_that_no_classifier_is_there_for_is_told_but_a_daemon_for_clips_needs_neither() -> None:
    assert list(complaints(Config(classifier=()))) == ["classifier: there is none, so nothing would be recognised"]
    assert list(complaints(Config(source=(), classifier=()))) == list(complaints(Config(source=()))) == []


@pytest.mark.parametrize(
    ("configuration", "told"),
    [
        (Config(source=(Microphone(name="a"), Microphone(name="a"))), 'source: 2 are named "a"; names must differ'),
        (Config(classifier=(Classifier(name="c"),) * 3), 'classifier: 3 are named "c"; names must differ'),
    ],
)
def test_names_that_do_not_differ_are_told(configuration: Config, told: str) -> None:
    assert list(complaints(configuration)) == [told]


@pytest.mark.parametrize(
    ("models", "told"),
    [
        ([Model(name="a"), Model(name="b", aliases=("c", "d"))], []),
        ([Model(name="a", aliases=("a", "a"))], []),
        ([Model(name="a"), Model(name="a")], ['model: 2 are named "a"; names must differ']),
        (
            [Model(name="a"), Model(name="b", aliases=("a",))],
            ['model: "a" is the name or alias of 2 models; names must differ'],
        ),
        (
            [Model(name="a", aliases=("x",)), Model(name="b", aliases=("x",)), Model(name="c", aliases=("x",))],
            ['model: "x" is the name or alias of 3 models; names must differ'],
        ),
    ],
)
def test_no_two_models_share_a_name_or_an_alias(models: list[Model], told: list[str]) -> None:
    assert list(complaints(Config(model=tuple(models)))) == told


@pytest.mark.parametrize(
    ("labels", "told"),
    [
        (("calm", "angry"), []),
        (("calm", "angry", "calm"), ['model[1].labels: 2 are "calm"; names must differ']),
        (("calm", ""), ["model[1].labels: name 1 is empty"]),
        ((" ", "calm"), ["model[1].labels: name 0 is empty"]),
        (("خوش\u200cحال", "calm"), []),
        (("ca\u200dlm", "calm"), [r"model[1].labels: 'ca\u200dlm' has characters that cannot be seen"]),
    ],
)
def test_the_labels_of_a_model_differ_and_can_be_seen(labels: tuple[str, ...], told: list[str]) -> None:
    assert list(complaints(Config(model=(Model(name="a"), Model(name="b", labels=labels))))) == told


@pytest.mark.parametrize(
    ("defaults", "told"),
    [
        ([False, False, False], []),
        ([True, False, False], []),
        ([True, True, False], ["model: 2 are the default; there can be one"]),
        ([True, True, True], ["model: 3 are the default; there can be one"]),
    ],
)
def test_one_model_at_most_is_the_default(defaults: list[bool], told: list[str]) -> None:
    models = tuple(Model(name=f"m{number}", default=default) for number, default in enumerate(defaults))
    assert list(complaints(Config(model=models))) == told


def test_a_classifier_cannot_hear_a_source_that_does_not_exist() -> None:
    sources = (Microphone(name="kitchen"), Microphone(name="hall"))
    heard = Classifier(name="c", sources=("hall", "kichen"))
    assert list(complaints(Config(source=sources, classifier=(Classifier(name="all"), heard)))) == [
        'classifier[1].sources: there is no source "kichen"; did you mean kitchen?'
    ]


SLIDING_OFF = "classifier[0].decide.off: 0.6 is above on = 0.5; a label goes off below where it goes on"


@pytest.mark.parametrize(
    ("mode", "decide", "told"),
    [
        ("sliding", Decide(on=0.5, off=0.6), [SLIDING_OFF]),
        ("sliding", Decide(on=0.5, off=0.5), []),
        ("utterance", Decide(on=0.5, off=0.6), []),
        (
            "sliding",
            Decide(min_on=2.0, max_on=1.0),
            ["classifier[0].decide.max_on: 1.0 s is shorter than min_on = 2.0 s"],
        ),
        ("sliding", Decide(min_on=2.0, max_on=2.0), []),
        ("sliding", Decide(min_on=1.0, max_on=2.0), []),
        ("sliding", Decide(min_on=2.0), []),
        ("utterance", Decide(min_on=2.0, max_on=1.0), []),
    ],
)
def test_a_label_cannot_end_before_it_may(mode: Any, decide: Decide, told: list[str]) -> None:
    assert list(complaints(of(mode=mode, decide=decide))) == told


@pytest.mark.parametrize(
    ("gate", "mode", "told"),
    [
        (
            "open",
            "utterance",
            ['classifier[0].mode: an open gate never closes, so no utterance ever ends; set mode = "sliding"'],
        ),
        ("open", "sliding", []),
        ("level", "utterance", []),
    ],
)
def test_an_open_gate_ends_no_utterance(gate: Any, mode: Any, told: list[str]) -> None:
    assert list(complaints(of(gate=gate, mode=mode))) == told


@pytest.mark.parametrize(
    ("window", "max_window", "told"),
    [
        (2.0, 1.5, ["classifier[0].max_window: 1.5 s is shorter than window = 2.0 s"]),
        (2.0, 2.0, []),
        (2.0, 3.0, []),
        (2.0, 0.0, []),
    ],
)
def test_the_longest_window_is_no_shorter_than_the_usual_one(window: float, max_window: float, told: list[str]) -> None:
    assert list(complaints(of(window=window, max_window=max_window))) == told


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"hop": 0.5}, 'classifier[0].hop: has no effect with mode = "utterance"'),
        ({"decide": Decide(smooth=1)}, 'classifier[0].decide.smooth: has no effect with mode = "utterance"'),
        (
            {"mode": "sliding", "decide": Decide(margin=0.2)},
            'classifier[0].decide.margin: has no effect with mode = "sl',
        ),
        ({"mode": "sliding", "max_window": 3.0}, 'classifier[0].max_window: has no effect with mode = "sliding"'),
        ({"vad": Vad(level_db=12.0)}, 'classifier[0].vad.level_db: has no effect with gate = "speech"'),
        (
            {"gate": "level", "vad": Vad(threshold=0.4)},
            'classifier[0].vad.threshold: has no effect with gate = "level"',
        ),
        (
            {"gate": "open", "mode": "sliding", "vad": Vad(min_speech_ms=0)},
            'classifier[0].vad.min_speech_ms: has no effect with gate = "open"',
        ),
        (
            {"decide": Decide(on=0.9, labels={"stop": 0.8}), "verify": Verify(model="a/second", sure=0.8)},
            "classifier[0].verify.sure: no label is looked at a second time, for each needs 0.8 to go on",
        ),
    ],
)
def test_a_setting_without_effect_is_told(changes: dict[str, Any], told: str) -> None:
    (found,) = useless(of(**changes))
    assert found.startswith(told)


def test_a_source_that_no_classifier_hears_is_told() -> None:
    sources = (Microphone(name="kitchen"), Microphone(name="hall"))
    unheard = Config(source=sources, classifier=(Classifier(name="c", sources=("hall",)),))
    assert list(useless(unheard)) == ["source[0]: no classifier hears kitchen; name it in `sources` of one"]


def test_a_classifier_that_names_no_source_hears_all() -> None:
    sources = (Microphone(name="kitchen"), Microphone(name="hall"))
    heard = Config(source=sources, classifier=(Classifier(name="c", sources=("hall",)), Classifier(name="d")))
    assert list(useless(heard)) == []


def test_settings_of_clips_have_no_effect_where_no_label_is_kept() -> None:
    (found,) = useless(Config(clips=Clips(max_mb=100)))
    assert found == "clips.max_mb: has no effect on new clips, because no classifier names labels in `clips`"
    kept = (Classifier(name="c", clips=("stop",)),)
    assert list(useless(Config(clips=Clips(max_mb=100), classifier=kept))) == []


def test_without_sources_no_setting_of_a_classifier_is_told_to_be_useless() -> None:
    assert list(useless(Config(source=(), classifier=(Classifier(name="c", hop=0.5),)))) == []


def test_the_presets_and_the_defaults_hold_no_useless_setting() -> None:
    assert list(useless(Config())) == list(useless(Config(classifier=presets.ALL))) == []
    assert list(complaints(Config())) == list(complaints(Config(classifier=presets.ALL))) == []


def test_a_channel_that_a_stream_does_not_have_is_told() -> None:
    command = Command(name="c", argv=("true",), channels=2, channel=3)
    assert list(complaints(Config(source=(command,)))) == [
        "source[0].channel: there is no channel 3; `channels` says 2"
    ]
    for there in (
        Command(name="c", argv=("true",), channels=2, channel=2),
        Command(name="c", argv=("true",), channels=1),
        Microphone(name="m", channel=2),
    ):
        assert list(complaints(Config(source=(there,)))) == []


def test_quiet_hours_that_are_no_times_are_told() -> None:
    (told,) = complaints(Config(source=(Microphone(name="m", quiet=("22:00-07:00", "25:00-26:00")),)))
    assert told.startswith("source[0].quiet: '25:00-26:00': 25:00 is no time of day; write 22:00-07:00")


@pytest.mark.parametrize(
    ("server", "told"),
    [
        (Server(certificate_file="a"), "server.key_file: is missing beside certificate_file; TLS takes both"),
        (Server(key_file="a"), "server.certificate_file: is missing beside key_file; TLS takes both"),
        (
            Server(trusted_proxies=("10.0.0.0/8", "proxy.local")),
            'server.trusted_proxies: "proxy.local" is no address and no network, such as 10.0.0.7 or 10.0.0.0/8',
        ),
        *(
            (
                Server(prefix=prefix),
                f'server.prefix: "{prefix}" is no path that begins with "/" and does not end with it, such as /earmark',
            )
            for prefix in ("earmark", "/", "/earmark/", "/a b", "//a", "/a?b")
        ),
    ],
)
def test_what_would_have_no_effect_at_the_port_is_told(server: Server, told: str) -> None:
    assert list(complaints(Config(server=server))) == [told]
    fine = Server(certificate_file="a", key_file="b", trusted_proxies=("::1", "10.0.0.7"), prefix="/lab/earmark")
    assert list(complaints(Config(server=fine))) == []


@pytest.mark.parametrize(
    ("worker", "told"),
    [
        (Worker(device="cpu", cuda=Cuda(graphs="auto")), 'graphs: has no effect with worker.device = "cpu"'),
        (Worker(device="mps", cuda=Cuda(graphs="auto")), 'graphs: has no effect with worker.device = "mps"'),
        (Worker(engine="onnx", cuda=Cuda(transfers="pinned")), 'transfers: has no effect with worker.engine = "onnx"'),
        (Worker(depth=1, cuda=Cuda(transfers="overlapped")), "transfers: no batches overlap with worker.depth = 1"),
    ],
)
def test_what_only_a_gpu_of_nvidia_can_do_has_no_effect_elsewhere(worker: Worker, told: str) -> None:
    assert list(useless(Config(worker=worker))) == [f"worker.cuda.{told}"]
    assert list(useless(Config(worker=Worker(cuda=Cuda(graphs="auto", transfers="overlapped"))))) == []


def test_what_only_a_gpu_can_do_has_no_effect_on_a_machine_without_one() -> None:
    wanted = Config(worker=Worker(cuda=Cuda(graphs="auto", transfers="pinned")))
    assert list(useless(wanted, has_gpu=lambda: False)) == [
        f"worker.cuda.{name}: has no effect, because torch would find no GPU on this machine"
        for name in ("graphs", "transfers")
    ]
