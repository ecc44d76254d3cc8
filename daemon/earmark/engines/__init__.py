"""What runs the models: so far the local engine, which supervises a worker process."""
