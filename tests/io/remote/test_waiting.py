"""Calls that may never return."""

import subprocess
import sys
import threading
import time

from hepfilter.io.remote.waiting import run_within


def test_results_and_errors_stand_in_the_order_of_the_calls():
    def fail() -> int:
        raise KeyError("x")

    def slow() -> int:
        time.sleep(0.02)
        return 1

    first, second, third = run_within(5, [slow, fail, lambda: 3], at_once=3)
    assert (first, third) == (1, 3) and isinstance(second, KeyError)
    assert run_within(5, []) == []
    before = threading.active_count()
    for _ in range(300):
        run_within(5, [lambda: 1] * 8, at_once=8)
        assert threading.active_count() == before  # so that worker processes may still be forked


def test_a_call_that_hangs_counts_as_late_while_the_others_go_on():
    never = threading.Event()
    start = time.monotonic()
    late, done = run_within(0.5, [never.wait, lambda: 5], at_once=2)
    assert isinstance(late, TimeoutError) and str(late) == "no answer within 0.5 s" and done == 5
    assert time.monotonic() - start < 5
    never.set()


def test_the_limit_is_for_each_answer_not_for_all():
    assert run_within(0.6, [lambda: time.sleep(0.2)] * 5) == [None] * 5


def test_no_more_calls_begin_after_the_limit():
    never, begun = threading.Event(), []
    run_within(0.05, [never.wait, lambda: begun.append(1)])
    never.set()
    time.sleep(0.05)
    assert not begun


def test_a_process_ends_although_a_call_hangs():
    code = (
        "import threading\nfrom hepfilter.io.remote.waiting import run_within\n"
        "print(run_within(0.05, [threading.Event().wait]))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=20, check=True)
    assert "no answer within 0.05 s" in run.stdout
