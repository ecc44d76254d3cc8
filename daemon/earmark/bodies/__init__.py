"""The bodies of requests with sound: received, counted in the memory of all requests, and decoded."""
