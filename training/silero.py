"""Writes the weights of the speech gate: `python -m training.silero`, from the ONNX file in the `silero-vad` wheel.

The wheel's own file of tensors holds other weights than its ONNX files, so that is not taken.
"""

from __future__ import annotations

import importlib.util
import shutil
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file

from earmark.audio.types import Floats

FOLDER = Path("daemon/earmark/gating/weights")
GRAPH = "silero_vad_16k_op15.onnx"
CONVOLUTION = "model.encoder.{}.reparam_conv.{}"
LSTM = "model.decoder.rnn.{}"


def main() -> None:
    import onnx  # of the extra `export`

    spec = importlib.util.find_spec("silero_vad")
    if spec is None or spec.origin is None:
        raise SystemExit("pip install silero-vad brings the weights")
    graph: Any = onnx.load(Path(spec.origin).parent / "data" / GRAPH).graph
    tensors: dict[str, Floats] = {each.name: onnx.numpy_helper.to_array(each) for each in graph.initializer}
    weights = {"stft": tensors["model.stft.forward_basis_buffer"][:, 0]}
    for layer in range(4):
        weights[f"conv{layer + 1}"] = tensors[CONVOLUTION.format(layer, "weight")]
        weights[f"conv{layer + 1}_bias"] = tensors[CONVOLUTION.format(layer, "bias")]
    weights["lstm_input"] = tensors[LSTM.format("weight_ih")]
    weights["lstm_state"] = tensors[LSTM.format("weight_hh")]
    weights["lstm_bias"] = tensors[LSTM.format("bias_ih")] + tensors[LSTM.format("bias_hh")]
    weights["output"] = tensors["model.decoder.decoder.2.weight"][0, :, 0]
    weights["output_bias"] = tensors["model.decoder.decoder.2.bias"][0]
    version = metadata.version("silero-vad")
    save_file(
        {name: np.ascontiguousarray(value) for name, value in weights.items()},
        FOLDER / "silero_vad_16k.safetensors",
        metadata={"source": f"silero-vad {version}, {GRAPH}", "licence": "MIT"},
    )
    licence = next(file for file in metadata.files("silero-vad") or () if file.name == "LICENSE")
    shutil.copyfile(licence.locate(), FOLDER / "LICENSE-silero")


if __name__ == "__main__":
    main()
