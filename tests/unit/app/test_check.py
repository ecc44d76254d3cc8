"""What `earmarkd --check` finds, on a machine that is made up."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import save_file

from earmark.app.check import Machine, Report, verify
from earmark.config import settings as config
from earmark.config.file import anchored, parse
from earmark.config.settings import Classifier, Config, Cuda, Decide, Model, Remote, Server, Worker
from earmark.config.sources import Command, File, Microphone
from earmark.devices.portaudio import Input
from earmark.errors import ConfigError, ModelError, SourceError
from earmark.perimeter.bind import is_free
from tests.tables import anything, changed, documented, keys

DESK = Input(index=0, name="Desk USB", host="ALSA", channels=1, rate=48000, is_default=True)


def no_device(device: str, precision: str) -> None:
    raise ModelError(f"no {device} with {precision}")


def no_sound() -> list[Input]:
    raise SourceError("microphones need the PortAudio library")


WHOLE = Machine(
    inputs=lambda: [DESK],
    server_sources=lambda: [],
    try_device=lambda device, precision: None,
    is_free=lambda server: True,
    has_package=lambda name: True,
    has_gpu=lambda: False,
    has_program=lambda name: True,
)


def warned(settings: Config, machine: Machine = WHOLE) -> str:
    """The one warning about settings that are right otherwise."""
    report = verify(settings, machine)
    assert (report.errors, report.exit_code) == ([], 0)
    (warning,) = report.warnings
    return warning


def refused(settings: Config, machine: Machine = WHOLE) -> tuple[str, int]:
    """The one error, and the exit code."""
    report = verify(settings, machine)
    (error,) = report.errors
    return str(error), report.exit_code


def test_the_default_is_right_and_its_classifier_is_told() -> None:
    told = (
        "classifier commands: earmark/commands, 15 labels, speech gate, utterance, hears microphone; licence cc-by-4.0"
    )
    report = verify(Config(worker=Worker(engine="torch")), WHOLE)
    assert report == Report(lines=[told, "model earmark/commands: torch, because worker.engine asks for it"])


GRAPH = b"\x3a\x01g"  # the least that looks like a file of ONNX


def write_weights(folder: Path) -> None:
    """Put a head's weights, and nothing else, into the folder."""
    head = {"projector.weight": (3, 3), "projector.bias": (3,), "classifier.weight": (2, 3), "classifier.bias": (2,)}
    save_file({name: np.zeros(shape, np.float32) for name, shape in head.items()}, folder / "model.safetensors")


def test_an_engine_that_a_model_has_no_file_for_is_an_error(folder: Path) -> None:
    write_weights(folder)
    settings = Config(
        worker=Worker(engine="onnx"),
        model=(Model(name="a/b", path=str(folder)),),
        classifier=(Classifier(name="c", model="a/b"),),
    )
    assert refused(settings) == ("a/b: its folder holds no model.onnx; `earmark export a/b` makes one", 1)
    (folder / "model.onnx").write_bytes(GRAPH)
    assert verify(settings, WHOLE).errors == []


def test_a_file_that_is_no_network_is_told_and_is_an_error_where_no_other_engine_may_run_the_model(
    folder: Path,
) -> None:
    write_weights(folder)
    (folder / "model.onnx").write_text("trash")
    model, classifier = (Model(name="a/b", path=str(folder)),), (Classifier(name="c", model="a/b"),)
    told = "a/b: its model.onnx is no file of ONNX, or only a part of one; `earmark export a/b` makes it anew"
    assert refused(Config(worker=Worker(engine="onnx"), model=model, classifier=classifier)) == (told, 1)
    settings = Config(model=model, classifier=classifier)
    assert warned(settings) == f"{told}. Until then torch runs it"
    lacking = replace(WHOLE, has_package=lambda name: name != "torch")
    assert refused(settings, lacking) == ("torch is not installed: pip install 'earmark[daemon]'", 1)


def test_an_absent_device_is_a_warning_because_the_daemon_waits_for_it() -> None:
    settings = Config(source=(Microphone(name="m", device="Hall"),))
    assert warned(settings) == (
        "source[0].device: there is no sound device 'Hall'; there are: Desk USB; the daemon would wait for it"
    )
    assert warned(Config(), replace(WHOLE, inputs=no_sound)).startswith("source[0].device: microphones need the Port")


def test_a_folder_in_which_no_journal_can_be_kept_is_a_warning(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    told = f"cannot be written: {tmp_path}/file is no folder; make it writable, or set journal.path to another folder"
    assert warned(Config(journal=config.Journal(path=f"{tmp_path}/file/x"))) == f"journal: {tmp_path}/file/x {told}"
    machine = replace(WHOLE, environ={"STATE_DIRECTORY": f"{tmp_path}/file"})
    assert warned(Config(), machine) == f"journal: {tmp_path}/file {told}"
    assert verify(Config(journal=False), machine).warnings == []


def test_that_sound_is_kept_is_told_and_a_folder_in_which_it_cannot_be_is_a_warning(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    words = (Classifier(name="words", clips=("stop",)),)
    wanted = Config(classifier=words, clips=config.Clips(path=f"{tmp_path}/clips"))
    assert f"the sound of what is detected is kept in {tmp_path}/clips" in verify(wanted, WHOLE).lines
    told = f"cannot be written: {tmp_path}/file is no folder; make it writable, or set clips.path to another folder"
    wrong = Config(classifier=words, clips=config.Clips(path=f"{tmp_path}/file/x"))
    assert warned(wrong) == f"clips: {tmp_path}/file/x {told}"
    silent = verify(Config(clips=config.Clips(path=f"{tmp_path}/file/x")), WHOLE)
    assert [line for line in silent.lines if "kept" in line] == []


def test_to_check_a_folder_makes_none(tmp_path: Path) -> None:
    assert verify(Config(journal=config.Journal(path=f"{tmp_path}/a/b")), WHOLE).warnings == []
    assert list(tmp_path.iterdir()) == []


def test_more_channels_than_the_device_has_are_a_warning() -> None:
    settings = Config(source=(Microphone(name="m", channels=2),))
    assert warned(settings) == "source[0].channels: Desk USB has 1, not 2: it may not open"


@pytest.mark.parametrize(
    ("program", "told"),
    [
        ("ffmpg", "there is no program 'ffmpg'; the daemon would try on"),
        ("/opt/listen", "there is no file that can be run '/opt/listen'; the daemon would try on"),
    ],
)
def test_an_unknown_program_is_a_warning(program: str, told: str) -> None:
    settings = Config(source=(Command(name="c", argv=(program, "-i", "x")),))
    assert warned(settings, replace(WHOLE, has_program=lambda name: False)) == f"source[0].argv: {told}"


def test_a_configuration_for_clips_alone_is_right_and_says_so() -> None:
    told = "no source: clips over HTTP are classified, and nothing is listened to"
    without = verify(Config(source=(), classifier=()), WHOLE)
    assert (without.lines[0], without.warnings, without.errors) == (told, [], [])
    with_classifier = verify(Config(source=()), WHOLE)
    assert (with_classifier.lines[1], with_classifier.warnings, with_classifier.errors) == (told, [], [])


def test_an_absent_recording_is_an_error(tmp_path: Path) -> None:
    told, code = refused(Config(source=(File(name="f", path=str(tmp_path / "talk.flac")),)))
    assert "talk.flac" in told
    assert code == 1


@pytest.mark.parametrize(
    ("worker", "asked"),
    [
        (Worker(device="cuda:1"), ("cuda:1", "auto")),
        (Worker(device="mps"), ("mps", "auto")),
        (Worker(engine="torch", precision="int8"), ("auto", "int8")),
    ],
)
def test_a_device_that_torch_does_not_have_is_an_error(worker: Worker, asked: tuple[str, str]) -> None:
    told, code = refused(Config(worker=worker), replace(WHOLE, try_device=no_device))
    assert (told, code) == (f"no {asked[0]} with {asked[1]}", 1)


def test_a_device_that_torch_does_not_have_is_a_warning_where_the_cpu_may_take_its_place() -> None:
    worker = Worker(device="cuda:1", fallback="cpu")
    report = verify(Config(worker=worker), replace(WHOLE, try_device=no_device))
    assert report.errors == []
    assert "no cuda:1 with auto; the models would run on the CPU" in report.warnings


def test_what_takes_the_place_of_endpoints_is_told_and_what_it_lacks_is_a_warning() -> None:
    worker = Worker(engine="oip", fallback="cpu", remote=Remote(endpoints=("a.lan:8001",)))
    settings = Config(worker=worker, classifier=(Classifier(name="c", model="earmark/commands"),))
    report = verify(settings, WHOLE)
    assert (report.errors, report.warnings) == ([], [])
    assert "model earmark/commands: a.lan:8001" in report.lines
    here = "model earmark/commands: onnxruntime, because its folder holds model.onnx, and worker.device is cpu"
    assert f"{here}, while no endpoint serves it" in report.lines
    report = verify(settings, replace(WHOLE, has_package=lambda name: name != "onnxruntime"))
    assert report.errors == []
    lacks = "onnxruntime is not installed: pip install 'earmark[daemon]'; nothing would take the place of the endpoints"
    assert report.warnings == [lacks]


def test_a_setting_for_gpus_is_a_warning_on_a_machine_without_one() -> None:
    settings = Config(worker=Worker(cuda=Cuda(graphs="auto")))
    told = "worker.cuda.graphs: has no effect, because torch would find no GPU on this machine"
    assert warned(settings) == told
    assert verify(settings, replace(WHOLE, has_gpu=lambda: True)).warnings == []


@pytest.mark.parametrize("device", ["auto", "cpu"])
def test_torch_is_not_asked_about_a_device_that_every_machine_has(device: str) -> None:
    assert verify(Config(worker=Worker(device=device)), replace(WHOLE, try_device=no_device)).errors == []


def test_torch_that_is_not_installed_is_an_error_whatever_the_device() -> None:
    machine = replace(WHOLE, has_package=lambda name: name != "torch", try_device=no_device)
    told = "torch is not installed: pip install 'earmark[daemon]'"
    for worker in (Worker(engine="torch"), Worker(device="cuda")):
        assert refused(Config(worker=worker), machine) == (told, 1)


def test_torch_need_not_be_installed_where_no_model_runs_on_it(folder: Path) -> None:
    write_weights(folder)
    (folder / "model.onnx").write_bytes(GRAPH)
    settings = Config(
        model=(Model(name="a/b", path=str(folder)),), classifier=(Classifier(name="c", model="a/b"),), source=()
    )
    report = verify(settings, replace(WHOLE, has_package=lambda name: name != "torch"))
    assert report.errors == []
    assert "model a/b: onnxruntime, because its folder holds model.onnx, and torch has no GPU here" in report.lines


def test_a_file_of_tokens_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    told, code = refused(Config(server=Server(token_file=str(tmp_path / "tokens"))))
    absent = tmp_path / "tokens"
    made = f"make it with: earmark token new NAME --file {absent}"
    assert (told, code) == (f"server.token_file: there is no {absent}; {made}", 2)


def test_an_address_without_a_port_is_one_error() -> None:
    told, code = refused(Config(server=Server(listen="127.0.0.1")), replace(WHOLE, is_free=is_free))
    assert told.startswith("server.listen: '127.0.0.1' is not HOST:PORT")
    assert code == 2


def test_an_address_that_others_reach_unencrypted_is_an_error(tmp_path: Path) -> None:
    file = tmp_path / "tokens"
    file.write_text("secret")
    file.chmod(0o600)
    server = Server(listen="0.0.0.0:8765", token_file=str(file))
    told, code = refused(Config(server=server), replace(WHOLE, is_free=is_free))
    assert told.startswith("server.listen: 0.0.0.0:8765 can be reached from other machines and is not encrypted")
    assert code == 1


def test_a_certificate_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    server = Server(certificate_file=str(tmp_path / "own.pem"), key_file=str(tmp_path / "own.key"))
    told = f"server.certificate_file: {tmp_path / 'own.pem'} cannot be read: No such file or directory"
    assert refused(Config(server=server)) == (told, 2)


def test_a_port_that_is_taken_is_a_warning_because_it_may_be_the_daemon_that_is_to_be_restarted() -> None:
    assert warned(Config(), replace(WHOLE, is_free=lambda server: False)) == (
        "server.listen: somebody listens on 127.0.0.1:8765 now, perhaps another earmarkd"
    )


def test_a_label_to_ignore_that_the_model_does_not_have_is_an_error() -> None:
    wrong = Classifier(name="e", model="earmark/emotion", decide=Decide(ignore=("Neutral", "_silence_")))
    told = 'classifier[0].decide.ignore: earmark/emotion has no label "Neutral"; did you mean neutral?'
    assert refused(Config(classifier=(wrong,))) == (told, 2)


def test_all_that_is_wrong_is_told_and_what_is_right_too() -> None:
    settings = Config(
        server=Server(listen="nowhere"),
        source=(File(name="f", path="/nowhere/talk.flac"),),
        classifier=(Classifier(name="a", model="acme/unknown"), Classifier(name="b")),
    )
    report = verify(settings, WHOLE)
    assert [line.split(":")[0] for line in report.lines] == ["classifier b", "model earmark/commands"]
    assert len(report.errors) == 3
    assert report.exit_code == 2


def test_an_embedded_model_may_have_an_entry_and_needs_none() -> None:
    own = Model(name="earmark/commands")
    assert warned(Config(model=(own,))) == "model[0]: earmark/commands comes with Earmark and needs no entry"
    for useful in (
        Model(name="earmark/commands", aliases=("words",)),
        Model(name="earmark/sounds", default=True),
        Model(name="earmark/sounds", function="sigmoid"),
    ):
        assert verify(Config(model=(useful,)), WHOLE).warnings == []


def test_labels_without_names_are_a_warning_whoever_uses_the_model(folder: Path) -> None:
    write_weights(folder)
    described = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({k: v for k, v in described.items() if k != "id2label"}))
    model, classifier = Model(name="a/b", path=str(folder)), Classifier(name="c", model="a/b")
    told = "a/b: its labels have no names (LABEL_0, LABEL_1); set `labels` of its [[model]], 2 names in their order"
    assert warned(Config(model=(model,))) == warned(Config(model=(model,), classifier=(classifier,))) == told
    named = Config(model=(msgspec.structs.replace(model, labels=("off", "on")),), classifier=(classifier,))
    assert verify(named, WHOLE).warnings == []


def test_a_regression_for_which_no_label_can_go_on_is_a_warning(folder: Path) -> None:
    write_weights(folder)
    described = json.loads((folder / "config.json").read_text()) | {"problem_type": "regression"}
    (folder / "config.json").write_text(json.dumps(described))
    model, classifier = Model(name="a/b", path=str(folder)), Classifier(name="c", model="a/b")
    assert warned(Config(model=(model,), classifier=(classifier,))) == (
        "classifier[0].decide.labels: a/b answers with values and no probabilities, so that no label goes on;"
        " give those that should a threshold here, such as { happy = 0.7 }"
    )
    asked = msgspec.structs.replace(classifier, decide=config.Decide(labels={"sad": 0.5}))
    assert verify(Config(model=(model,), classifier=(asked,)), WHOLE).warnings == []


def test_a_regression_that_shall_confirm_is_an_error(folder: Path) -> None:
    write_weights(folder)
    described = json.loads((folder / "config.json").read_text()) | {"problem_type": "regression"}
    (folder / "config.json").write_text(json.dumps(described))
    doubtful = Classifier(name="c", verify=config.Verify(model="a/b", labels={"stop": ("happy",)}))
    told, code = refused(Config(model=(Model(name="a/b", path=str(folder)),), classifier=(doubtful,)))
    assert code == 2
    assert told.startswith("classifier[0].verify.model: the scores of a/b are no probabilities (function: none), so")


def test_a_model_that_only_requests_use_is_a_warning_if_it_cannot_be_read() -> None:
    told = warned(Config(model=(Model(name="acme/doorbells", path="/nowhere"),)))
    assert told.startswith("model[0]: requests for it will fail: /nowhere is not a folder; ")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A checkpoint whose weights are absent: a pointer of Git LFS is in their place."""
    described = {
        "model_type": "wav2vec2",
        "architectures": ["Wav2Vec2ForSequenceClassification"],
        "id2label": {"0": "happy", "1": "sad"},
    }
    (tmp_path / "config.json").write_text(json.dumps(described))
    (tmp_path / "preprocessor_config.json").write_text('{"sampling_rate": 16000}')
    (tmp_path / "model.safetensors").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n")
    return tmp_path


def test_a_pointer_in_place_of_weights_is_an_error(folder: Path) -> None:
    settings = Config(model=(Model(name="a/b", path=str(folder)),), classifier=(Classifier(name="c", model="a/b"),))
    told = "a/b: model.safetensors is a pointer of Git LFS, not the weights; run `git lfs pull` there"
    assert refused(settings) == (told, 1)


def test_a_folder_in_the_place_of_an_embedded_model_is_told(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes((2).to_bytes(8, "little") + b"{}")
    report = verify(Config(model=(Model(name="earmark/sounds", path=str(folder)),)), WHOLE)
    lacking, replaced = report.warnings
    assert lacking.startswith("model[0]: requests for it will fail: earmark/sounds: the checkpoint does not hold the w")
    assert replaced == "model[0]: takes the place of the earmark/sounds that comes with Earmark"


EVERYTHING = documented()[1]


@given(st.sampled_from(keys(EVERYTHING)), anything)
def test_whatever_stands_in_a_configuration_no_other_error_is_raised(path: tuple[Any, ...], value: object) -> None:
    try:
        settings = anchored(parse(changed(EVERYTHING, path, value)), Path("/nowhere"))
    except ConfigError:
        return
    assert isinstance(settings, config.Config)
    assert verify(settings, WHOLE).exit_code in (0, 1, 2)
