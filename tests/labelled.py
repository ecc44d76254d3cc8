"""A folder that says of itself what a checkpoint of CLAP says, without weights; nothing here needs torch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

CONFIG: dict[str, Any] = {"model_type": "clap", "architectures": ["ClapModel"]}
EXTRACTOR: dict[str, Any] = {"sampling_rate": 48000, "max_length_s": 10}


def clap_folder(path: Path, config: dict[str, Any] | None = None, *tokenizer: str) -> Path:
    """Make the folder, with these files of a tokenizer, or with the one that is enough."""
    path.mkdir(parents=True, exist_ok=True)
    (path / "config.json").write_text(json.dumps(CONFIG | (config or {})))
    (path / "preprocessor_config.json").write_text(json.dumps(EXTRACTOR))
    for name in ("model.safetensors", *(tokenizer or ("tokenizer.json",))):
        (path / name).touch()
    return path
