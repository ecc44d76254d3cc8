"""What the daemon says of its own interfaces: OpenAPI, AsyncAPI, and a page with both for people."""
