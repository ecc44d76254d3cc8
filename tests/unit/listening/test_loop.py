from __future__ import annotations

import asyncio
import threading

from earmark.listening.loop import call_if_open


def test_a_call_from_another_thread_is_made_on_the_loops_thread_with_its_arguments() -> None:
    async def main() -> tuple[str, int]:
        loop, called = asyncio.get_running_loop(), asyncio.Queue[tuple[str, int]]()
        thread = threading.Thread(target=lambda: call_if_open(loop, called.put_nowait, ("done", 7)))
        thread.start()
        found = await asyncio.wait_for(called.get(), 10)
        thread.join()
        return found

    assert asyncio.run(main()) == ("done", 7)


def test_a_call_to_a_loop_that_is_closed_is_ignored() -> None:
    loop = asyncio.new_event_loop()
    loop.close()
    called: list[int] = []
    call_if_open(loop, called.append, 1)
    assert called == []
