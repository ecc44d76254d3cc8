"""The one port: HTTP, the WebSocket handshake, and who may connect."""
