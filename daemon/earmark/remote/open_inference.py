"""The messages of the Open Inference Protocol, version 2 (https://github.com/kserve/open-inference-protocol).

Their classes are made from `open_inference.binpb`, a description that protoc compiled from the `.proto` file beside it.
So no generated code ties Earmark to one version of protobuf. They are in a pool of their own: other packages of the
same process, such as tritonclient, may bring the same protocol.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

SERVICE = "inference.GRPCInferenceService"
METHODS = ("ServerLive", "ServerReady", "ModelReady", "ServerMetadata", "ModelMetadata", "ModelInfer")

_pool = descriptor_pool.DescriptorPool()
_described = descriptor_pb2.FileDescriptorSet.FromString(Path(__file__).with_suffix(".binpb").read_bytes())
for _file in _described.file:
    _pool.Add(_file)


def _message(name: str) -> Any:
    made = message_factory.GetMessageClass(_pool.FindMessageTypeByName(f"inference.{name}"))
    made.__module__ = __name__  # so that it can be pickled: Ray does that between its processes
    return made


ServerLiveRequest, ServerLiveResponse = _message("ServerLiveRequest"), _message("ServerLiveResponse")
ServerReadyRequest, ServerReadyResponse = _message("ServerReadyRequest"), _message("ServerReadyResponse")
ModelReadyRequest, ModelReadyResponse = _message("ModelReadyRequest"), _message("ModelReadyResponse")
ServerMetadataRequest, ServerMetadataResponse = _message("ServerMetadataRequest"), _message("ServerMetadataResponse")
ModelMetadataRequest, ModelMetadataResponse = _message("ModelMetadataRequest"), _message("ModelMetadataResponse")
ModelInferRequest, ModelInferResponse = _message("ModelInferRequest"), _message("ModelInferResponse")


def request(method: str) -> Any:
    """Return the class of the requests of a method."""
    return globals()[f"{method}Request"]


def response(method: str) -> Any:
    """Return the class of the responses of a method."""
    return globals()[f"{method}Response"]
