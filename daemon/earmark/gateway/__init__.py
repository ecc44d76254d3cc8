"""`earmarkd --gateway`: the event stream and the page from a stream of NATS, without sound and models."""
