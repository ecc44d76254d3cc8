"""The gates of all sources, stepped together."""

from __future__ import annotations

from collections.abc import Iterable

from earmark.audio.level import NoiseFloor, decibels
from earmark.audio.resampled import ResampledRing
from earmark.audio.types import Closed, Opened, Samples
from earmark.config.settings import HANGOVER_MS, Vad
from earmark.windowing.gate import Gate, GateSettings, State
from earmark.windowing.silero import CONTEXT, RATE, STEP, Silero

STEP_SECONDS = 0.032
FLOOR_DB = -70.0  # the noise floor never counts as lower: hiss above digital silence is not a sound
RELEASE = 0.15  # speech: the gate closes this much below its threshold
RELEASE_DB = 3.0
QUIET_DB = -50.0  # above, a step is never skipped
QUIET_MARGIN_DB = 3.0  # below -50 dBFS and within this of the floor, a step is plainly quiet
AWAKE_STEPS = 16  # after a step that was not quiet, so many are looked at
DROWSY = 0.1  # seconds that gather while it is plainly quiet: an onset seen so late delays no result, for those come
# when the sound ends
WARM_STEPS = 8  # skipped steps that a waking stream goes over again
UNLIKELY = 0.1  # speech probability of a step in which surely nobody speaks
BRIEF_SECONDS = 0.25  # speech: shorter than most words, longer than most syllables
REST_STEPS = 62  # of them in a row, 2 s, after which the state is begun anew

News = list[Opened | Closed]


class LevelGate:
    """`level`: how far the sound stands out of the background, in dB. `open`: always."""

    def __init__(self, track: ResampledRing, vad: Vad, *, always: bool = False) -> None:
        self.track = track
        self.position = 0  # up to where it has judged
        self._step = int(track.rate * STEP_SECONDS)
        self._always = always
        self._floor = NoiseFloor(STEP_SECONDS, rise=1.0)
        self._gate = gate(vad, track.rate, self._step, vad.level_db, vad.level_db - RELEASE_DB, endless=always)

    def run(self) -> list[tuple[Opened | Closed, int]]:
        """Judge what the ring has got; news, each with the position up to which was judged then."""
        news: list[tuple[Opened | Closed, int]] = []
        ring = self.track.ring
        self.position = max(self.position, ring.start)
        while self.position + self._step <= ring.end:
            score = 1e3 if self._always else self._score(ring.view(self.position, self.position + self._step))
            found = self._gate.feed(self.position, score)
            self.position += self._step
            news += [(item, self.position) for item in found]
        return news

    @property
    def is_open(self) -> bool:
        return self._gate.is_open

    @property
    def wants(self) -> float:
        """Seconds of sound until the next step is complete."""
        return (self.position + self._step - self.track.ring.end) / self.track.rate

    def close(self) -> News:
        """The stream breaks or ends at the ring's end."""
        self.position = self.track.ring.end
        return self._gate.close(self.position)

    def _score(self, samples: Samples) -> float:
        level = decibels(samples)
        over = self._floor.feed(max(level, FLOOR_DB))
        return over if level > FLOOR_DB else 0.0


class SpeechGate:
    """`speech`: Silero VAD's probability, one step of 32 ms at 16 kHz at a time; run by step_all()."""

    def __init__(self, track: ResampledRing, vad: Vad, silero: Silero) -> None:
        self.track = track
        self.position = 0
        self.slot = silero.join()
        self._silero = silero
        self._floor = NoiseFloor(STEP_SECONDS)
        self._awake = 0  # steps to look at before one may be skipped again
        self._unlikely = 0  # steps in a row without speech that were looked at
        release = max(0.01, vad.threshold - RELEASE)
        self._gate = gate(vad, track.rate, STEP, vad.threshold, release, brief=BRIEF_SECONDS)

    def next_frame(self) -> Samples | None:
        """The next step that needs Silero, with its context; plainly quiet ones are passed over here."""
        ring = self.track.ring
        if self.position < ring.start:  # after a gap
            self.position = ring.start
            self._silero.forget(self.slot)
        while self.position + STEP <= ring.end:
            if self._look(ring.view(self.position, self.position + STEP)):
                return self._frame(self.position)
            self.position += STEP  # the gate need not hear of it: it is quiet, or _look() would have looked
        return None

    def judge(self, probability: float) -> News:
        """Take the probability of the frame that next_frame() gave."""
        news = self._gate.feed(self.position, probability)
        self.position += STEP
        self._rest(probability)
        return news

    @property
    def is_open(self) -> bool:
        return self._gate.is_open

    @property
    def wants(self) -> float:
        """Seconds of sound until there is something to judge: a step, or a few of them while it is plainly quiet."""
        if not self._awake:
            return DROWSY
        return (self.position + STEP - self.track.ring.end) / RATE

    def close(self) -> News:
        """The stream breaks or ends at the ring's end."""
        self.position = self.track.ring.end
        self._awake = self._unlikely = 0
        self._silero.forget(self.slot)
        return self._gate.close(self.position)

    def _look(self, step: Samples) -> bool:
        level = decibels(step)
        over = self._floor.feed(max(level, FLOOR_DB))
        if level > FLOOR_DB and (level > QUIET_DB or over > QUIET_MARGIN_DB):
            if not self._awake:
                self._warm_up()
            self._awake = AWAKE_STEPS
        elif self._awake and self._gate.state is State.QUIET:
            self._awake -= 1
        return self._awake > 0

    def _rest(self, probability: float) -> None:
        """Begin anew after a while without speech.

        In steady noise Silero's state drifts until it is deaf: of 210 words 5 dB above noise, in streams of a minute,
        167 open a gate whose state is kept and 203 one that is begun anew; of 20 dB, 192 and 207. The price: in 22
        minutes of kitchen noises and tones the former opens once and the latter ten times. To go over the steps before
        once more brings nothing.
        """
        self._unlikely = self._unlikely + 1 if probability < UNLIKELY else 0
        if self._unlikely >= REST_STEPS and self._gate.state is State.QUIET:
            self._unlikely = 0
            self._silero.forget(self.slot)

    def _warm_up(self) -> None:
        """Go over the steps just before this one, so that an onset is heard as one.

        The state stays what it was when the stream became quiet. Measured on 250 words after pauses: against a
        stream in which no step is skipped, 3 onsets move by more than 64 ms; from a fresh state, 15 do.
        """
        first = max(self.position - WARM_STEPS * STEP, self.track.ring.start + CONTEXT)
        for position in range(first + (self.position - first) % STEP, self.position, STEP):
            self._silero.probabilities([self.slot], [self._frame(position)])

    def _frame(self, position: int) -> Samples:
        start = position - CONTEXT
        if start >= self.track.ring.start:
            return self.track.ring.view(start, position + STEP)
        return self.track.ring.read(start, position + STEP)


def gate(
    vad: Vad, rate: int, step: int, threshold: float, release: float, *, brief: float = 0.0, endless: bool = False
) -> Gate:
    """The hysteresis for these settings, in samples at `rate`; `brief` in seconds."""
    settings = GateSettings(
        threshold,
        release,
        min_speech=0 if endless else vad.min_speech_ms * rate // 1000,
        hangover=(vad.hangover_ms or HANGOVER_MS["utterance"]) * rate // 1000,
        maximum=0 if endless else vad.max_ms * rate // 1000,
        brief=round(brief * rate),
    )
    return Gate(settings, step)


def step_all(gates: Iterable[SpeechGate], silero: Silero) -> list[tuple[SpeechGate, Opened | Closed, int]]:
    """Judge all that the rings have got, one batch a step over all gates that have one; news in order of time."""
    news: list[tuple[SpeechGate, Opened | Closed, int]] = []
    active = list(gates)
    while active:
        pairs = [(gate, frame) for gate in active if (frame := gate.next_frame()) is not None]
        if not pairs:
            break
        active = [gate for gate, _ in pairs]
        scores = silero.probabilities([gate.slot for gate in active], [frame for _, frame in pairs]).tolist()
        for gate, score in zip(active, scores, strict=True):
            news += [(gate, item, gate.position) for item in gate.judge(score)]
    return news
