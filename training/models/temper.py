"""Calibrate a command checkpoint on the dev side: choose a temperature and fold it into the last layer.

Words are taken as recorded and as training augments them, because a live microphone is in between. Training does this
once (training.models.commands); a second time, the temperature is about 1 and hardly anything changes. Judge the
checkpoint again afterwards (training.models.judge).
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Sequence
from pathlib import Path

import torch
from transformers import WhisperForAudioClassification

from training.crossed.calibrate import fold_in, temperature
from training.crossed.validate import logits_of
from training.data.augment import PLAIN, Recipe
from training.data.bank import fill
from training.data.corpora import Clip, read_clips
from training.data.features import LogMel, feature_extractor
from training.data.noises import noise_bank
from training.models.evaluate import hear
from training.models.judge import PEOPLE
from training.models.network import save

EXAMPLES = """example:
  python -m training.models.temper --data DATA --model daemon/earmark/models/commands
"""


def temper(model: WhisperForAudioClassification, clips: Sequence[Clip], data: Path) -> float:
    """Fold the temperature that suits the people of the dev side into `model`. Returns the temperature."""
    kept = [clip for clip in clips if clip.side == "dev" and clip.corpus in PEOPLE]
    bank, noise, log_mel = fill(kept), noise_bank(data, "dev"), LogMel(feature_extractor())
    everything = torch.arange(len(kept))
    heard = torch.cat([hear(bank, noise, recipe, log_mel, everything, seed=1) for recipe in (PLAIN, Recipe())])
    found = temperature(logits_of(model.eval(), heard), bank.labels.repeat(2))
    fold_in(model.classifier, found)
    return round(found, 4)


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m training.models.temper",
        description=__doc__,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    data = os.environ.get("EARMARK_DATA")
    parser.add_argument("--data", type=Path, default=data, required=not data)
    parser.add_argument("--model", type=Path, required=True, help="folder of the checkpoint")
    options = parser.parse_args(argv)
    model = WhisperForAudioClassification.from_pretrained(options.model)
    found = temper(model, read_clips(options.data), options.data)
    save(model, feature_extractor(), options.model)
    kept = options.model / "evaluation.json"
    figures = json.loads(kept.read_text())
    before = figures["training"].get("temperature", 1.0)
    figures["training"]["temperature"] = round(before * found, 4)
    kept.write_text(json.dumps(figures, indent=1) + "\n")
    print(f"temperature {found:.3f} is folded in; judge the checkpoint again")


if __name__ == "__main__":
    main()
