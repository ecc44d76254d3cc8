"""Batches that a device computes while the next one is prepared."""

from __future__ import annotations

import logging
import os
import queue
import threading
from collections.abc import Callable

logger = logging.getLogger(__name__)

MOST = 2  # batches that are begun and not answered; the daemon sends no more either


def end_process() -> None:
    """End this process. The daemon starts another one."""
    os._exit(1)


class Ahead:
    """Waits for batches in their order, on a thread of its own, which ends after close() or with the process.

    After an error that nobody expected it ends the process by `end`, as such an error does on the main thread.
    """

    def __init__(self, end: Callable[[], None] = end_process) -> None:
        self._end = end
        self._begun: queue.Queue[Callable[[], None] | None] = queue.Queue(MOST - 1)  # one more is being waited for
        threading.Thread(target=self._finish_all, name="ahead", daemon=True).start()

    def put(self, finish: Callable[[], None]) -> None:
        """Have finish() called, which waits for a batch and answers it, after those before. Waits if there are two."""
        self._begun.put(finish)

    def drain(self) -> None:
        """Wait until all are answered."""
        self._begun.join()

    def close(self) -> None:
        """Let the thread end when all are answered."""
        self._begun.put(None)

    def _finish_all(self) -> None:
        while (finish := self._begun.get()) is not None:
            try:
                finish()
            except (BrokenPipeError, ConnectionResetError):
                pass  # the daemon is gone; the main thread learns it too
            except BaseException:
                logger.critical("it ends: an error while a batch was waited for", exc_info=True)
                self._end()
            finally:
                self._begun.task_done()
