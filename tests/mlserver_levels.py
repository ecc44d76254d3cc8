"""A model of MLServer: the mean of each window and its highest sample. Runs in MLServer's own environment."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from mlserver import MLModel  # type: ignore[import-not-found]  # it is installed elsewhere
from mlserver.codecs import NumpyCodec  # type: ignore[import-not-found]
from mlserver.types import InferenceResponse  # type: ignore[import-not-found]


class Levels(MLModel):  # type: ignore[misc]
    """Answers with the output `levels`, and tells nothing of labels. A window that begins with 9 takes two seconds."""

    async def load(self) -> bool:
        return True

    async def predict(self, payload: Any) -> Any:
        samples = NumpyCodec.decode_input(payload.inputs[0])
        if samples[0, 0] == 9:
            time.sleep(2.0)  # on the event loop of the server, as a model of that kind computes
        levels = np.stack([samples.mean(axis=1), samples.max(axis=1)], axis=1).astype(np.float32)
        return InferenceResponse(model_name=self.name, outputs=[NumpyCodec.encode_output("levels", levels)])
