"""Calls that may never return, made in threads that nobody waits for longer than a limit."""

import queue
import threading
from collections.abc import Callable, Sequence
from typing import TypeVar

Result = TypeVar("Result")


def run_within(seconds: float, calls: Sequence[Callable[[], Result]], *, at_once: int = 1) -> list[Result | Exception]:
    """What each call gives or raises, `at_once` of them at the same time.

    When none has returned for so many seconds, those that are left count as TimeoutError. Their threads go on by
    themselves, and keep no process from its end.
    """
    waiting: queue.SimpleQueue[tuple[int, Callable[[], Result]]] = queue.SimpleQueue()
    done: queue.SimpleQueue[tuple[int, Result | Exception]] = queue.SimpleQueue()
    for item in enumerate(calls):
        waiting.put(item)
    given_up = threading.Event()

    def work() -> None:
        while not given_up.is_set():
            try:
                number, call = waiting.get_nowait()
            except queue.Empty:
                return
            try:
                done.put((number, call()))
            except Exception as error:  # noqa: BLE001  (whoever waits for it raises it)
                done.put((number, error))

    threads = [threading.Thread(target=work, daemon=True) for _ in range(min(at_once, len(calls)))]
    for thread in threads:
        thread.start()
    outcomes: list[Result | Exception] = [TimeoutError(f"no answer within {seconds:g} s") for _ in calls]
    try:
        for _ in calls:
            number, outcome = done.get(timeout=seconds)
            outcomes[number] = outcome
    except queue.Empty:
        return outcomes
    finally:
        given_up.set()
    for thread in threads:
        thread.join()
    return outcomes
