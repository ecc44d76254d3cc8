"""What runs the models: the local engine, which supervises a worker process, or another one that is chosen here."""
