"""The network of Silero VAD in numpy: an STFT, four convolutions over its magnitudes, an LSTM cell, and a sigmoid.

Silero Team, "Silero VAD: pre-trained enterprise-grade Voice Activity Detector", https://github.com/snakers4/silero-vad
(MIT licence). The layers and the weights are those of its ONNX file for 16 kHz; see `weights/README.md`.

A step is so small a piece of work that a general runtime spends much of its time on other things. Here each layer is a
few products of matrices over all streams at once, and what is multiplied by padding or by zero is left out.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from earmark.audio.types import Floats

FRAME = 576  # samples that the network hears of a step
STATE = 128  # values of the LSTM's output, and of its cell
_REFLECTED = 64  # samples that are repeated behind the frame, backwards
_FFT, _HOP = 256, 128  # samples: four spectra in a frame
_BINS = _FFT // 2 + 1


class SileroNetwork:
    """The network with its weights. It keeps no state, so that any number of threads may use it.

    `weights` are float32: `stft` (258, 256), `conv1` to `conv4` with their biases, each (out, in, 3), `lstm_input` and
    `lstm_state` (512, 128) with the gates in the order input, forget, cell, output, `lstm_bias` (512,), and `output`
    (128,) with `output_bias` ().
    """

    def __init__(self, weights: Mapping[str, Floats]) -> None:
        # The window of the STFT is symmetric and begins with 0: so are its rows of cosines, and those of sines are
        # antisymmetric. Samples at equal distances from the middle are added, or subtracted, before they are multiplied
        stft = weights["stft"]
        self._cosines = np.ascontiguousarray(stft[:_BINS, 1 : _HOP + 1].T)
        self._sines = np.ascontiguousarray(stft[_BINS + 1 : -1, 1:_HOP].T)
        self._conv1, self._conv2, self._conv3 = (_taps(weights[name]) for name in ("conv1", "conv2", "conv3"))
        self._conv4 = np.ascontiguousarray(weights["conv4"][:, :, 1].T)  # one frame is left: the others are padding
        self._biases = [weights[f"conv{number}_bias"] for number in range(1, 5)]
        self._lstm_input = np.ascontiguousarray(weights["lstm_input"].T)
        self._lstm_state = np.ascontiguousarray(weights["lstm_state"].T)
        self._lstm_bias = weights["lstm_bias"]
        self._output, self._output_bias = weights["output"], weights["output_bias"]

    def forward(self, frames: Floats, output: Floats, cell: Floats) -> tuple[Floats, Floats, Floats]:
        """Return the speech probabilities, shape (n,), of n frames, and the new output and cell of their LSTM.

        `frames` has the shape (n, 576), samples at 16 kHz; `output` and `cell` have the shape (n, 128).
        """
        output, cell = self._lstm(self._encode(self._magnitudes(frames)), output, cell)
        return _sigmoid(np.maximum(output, 0) @ self._output + self._output_bias), output, cell

    def _magnitudes(self, frames: Floats) -> Floats:
        """Return the magnitudes of four spectra, one after the other: shape (n, 4 * 129)."""
        count = len(frames)
        padded = np.empty((count, FRAME + _REFLECTED), np.float32)
        padded[:, :FRAME] = frames
        padded[:, FRAME:] = frames[:, -2 : -2 - _REFLECTED : -1]
        windows = sliding_window_view(padded, _FFT, axis=1)[:, ::_HOP]
        before, after = windows[..., 1:_HOP], windows[..., :_HOP:-1]  # the middle, from the edge inwards
        even = np.empty((*before.shape[:2], _HOP), np.float32)
        np.add(before, after, out=even[..., :-1])
        even[..., -1] = windows[..., _HOP]
        power = even.reshape(-1, _HOP) @ self._cosines
        power *= power
        sines = (before - after).reshape(-1, _HOP - 1) @ self._sines
        sines *= sines
        power[:, 1:-1] += sines
        return np.sqrt(power, out=power).reshape(count, -1)

    def _encode(self, magnitudes: Floats) -> Floats:
        """Return what the convolutions make of them, shape (n, 128). They have three taps and one frame of padding."""
        # The frames of a stream lie one after the other, so that neighbours are one row of a matrix
        count, bins = len(magnitudes), _BINS
        first = np.empty((count, 4, 128), np.float32)
        np.matmul(magnitudes[:, : 2 * bins], self._conv1[bins:], out=first[:, 0])
        np.matmul(magnitudes[:, : 3 * bins], self._conv1, out=first[:, 1])
        np.matmul(magnitudes[:, bins:], self._conv1, out=first[:, 2])
        np.matmul(magnitudes[:, 2 * bins :], self._conv1[: 2 * bins], out=first[:, 3])
        rows = _rectified(first, self._biases[0]).reshape(count, -1)
        second = np.empty((count, 2, 64), np.float32)  # of every other frame
        np.matmul(rows[:, :256], self._conv2[128:], out=second[:, 0])
        np.matmul(rows[:, 128:], self._conv2, out=second[:, 1])
        rows = _rectified(second, self._biases[1]).reshape(count, -1)
        rows = _rectified(rows @ self._conv3[64:], self._biases[2])  # every other again: the first frame
        return _rectified(rows @ self._conv4, self._biases[3])

    def _lstm(self, inputs: Floats, output: Floats, cell: Floats) -> tuple[Floats, Floats]:
        gates = inputs @ self._lstm_input
        gates += output @ self._lstm_state
        gates += self._lstm_bias
        enter, forget, new, leave = np.split(gates, 4, axis=1)
        cell = _sigmoid(forget) * cell + _sigmoid(enter) * np.tanh(new)
        return _sigmoid(leave) * np.tanh(cell), cell


def _taps(kernel: Floats) -> Floats:
    """Return a kernel of shape (out, in, taps) as a matrix (taps * in, out) for rows of neighbouring frames."""
    return np.ascontiguousarray(kernel.transpose(2, 1, 0).reshape(-1, kernel.shape[0]))


def _rectified(values: Floats, bias: Floats) -> Floats:
    values += bias
    return np.maximum(values, 0, out=values)


def _sigmoid(values: Floats) -> Floats:
    # by the tangent, which does not overflow
    return 0.5 + 0.5 * np.tanh(0.5 * values)  # type: ignore[no-any-return]
