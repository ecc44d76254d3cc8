"""Benchmarks, compared with the goals of docs/design.md; see docs/benchmarks.md.

The threads of torch sleep while they wait for each other, here and in the daemons that are started from here. If they
spun, the figures would depend on what else the machine does: beside another busy program on two cores, the same forward
pass took 9 ms or 200 ms.
"""

import os

os.environ.setdefault("OMP_WAIT_POLICY", "passive")
