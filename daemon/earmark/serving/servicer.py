"""The methods of the Open Inference Protocol at a gRPC server, as Ray Serve wants them registered."""

from __future__ import annotations

from typing import Any

import grpc

from earmark.remote import open_inference


def add_to_server(servicer: Any, server: Any) -> None:
    """Register with a gRPC server those methods of the protocol that `servicer` has, each under its name."""
    handlers = {
        method: grpc.unary_unary_rpc_method_handler(
            getattr(servicer, method),
            request_deserializer=open_inference.request(method).FromString,
            response_serializer=open_inference.response(method).SerializeToString,
        )
        for method in open_inference.METHODS
        if hasattr(servicer, method)
    }
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(open_inference.SERVICE, handlers),))
