"""The daemon with tests.sick_worker as its model process: `python -m tests.sick_daemon`, in the root folder."""

from __future__ import annotations

import os
import sys

from earmark.engines import deaths
from earmark.launching import launch
from tests.daemon import ROOT

if __name__ == "__main__":
    os.environ["PYTHONPATH"] = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    launch.MODULE = "tests.sick_worker"
    deaths.FIRST_DELAY_SECONDS = 0.1  # so that five deaths in a row take no long time
    from earmark.__main__ import main

    sys.exit(main())
