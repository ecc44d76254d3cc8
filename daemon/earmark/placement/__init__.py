"""On what each model runs: the engine, the device, the precision and the threads."""
