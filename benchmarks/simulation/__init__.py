"""Many microphones, daemons, replicas and gateways, simulated from measured costs; see benchmarks.simulate."""
