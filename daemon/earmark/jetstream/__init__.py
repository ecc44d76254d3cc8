"""NATS JetStream: the login, one connection, the names of subjects, and a stream that is read in order."""
