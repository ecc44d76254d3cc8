"""Earmark: a real-time streaming audio classifier daemon."""

import os

# What is heard stays on this machine, and so does the news that somebody listens. onnxruntime otherwise asks for a host
# of its maker and keeps a number for this device in the home folder; it reads the variable when it is imported, which
# only modules of this package do. Child processes inherit the variables.
os.environ |= {"ORT_DISABLE_TELEMETRY": "1", "HF_HUB_DISABLE_TELEMETRY": "1", "DO_NOT_TRACK": "1"}

__version__ = "0.1.0"
