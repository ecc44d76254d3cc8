"""Measurements beside the goals of docs/design.md: see docs/benchmarks.md.

Threads of torch that spin while they wait for each other measure how busy the machine is: with a neighbour on two
cores, the same forward took 9 ms or 200 ms. So here, and in the daemons that are started from here, they sleep.
"""

import os

os.environ.setdefault("OMP_WAIT_POLICY", "passive")
