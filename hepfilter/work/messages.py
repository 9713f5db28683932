"""What passes between the process that has the tasks and its workers: requests and answers, as bytes.

They are pickles, of functions by the name of their module, our dataclasses and arrays; each is read only by the two
processes that belong to one run.
"""

import pickle
import traceback
from enum import Enum
from typing import Any

from hepfilter.errors import HepfilterError
from hepfilter.work.tasks import Done, Job, OpenedJob, Task


class _Kind(Enum):
    VALUE = 0  # what the task gave
    ERROR = 1  # the task raised an error of hepfilter's
    RAISED = 2  # something else went wrong: the run ends with it


def pack_job(job: Job) -> bytes:
    """A job, to be sent to workers."""
    return pickle.dumps(job)


def pack_task(task: Task) -> bytes:
    """The request to do a task."""
    return pickle.dumps((task.function, task.arguments), protocol=5)


def read_answer(task: Task, answer: bytes) -> Done:
    """What became of a task; raises what its worker could not attribute to it."""
    kind, value = pickle.loads(answer)  # noqa: S301  (from a worker of our own)
    if kind is _Kind.RAISED:
        raise value
    return Done(task, error=value) if kind is _Kind.ERROR else Done(task, value)


class Answerer:
    """In a worker: does the tasks of one job. It never raises."""

    def __init__(self, job: bytes) -> None:
        self._packed = job
        self._job: OpenedJob | None = None

    def answer(self, request: bytes) -> bytes:
        """Do the task of a request; the answer to it."""
        try:
            if self._job is None:
                self._job = OpenedJob(pickle.loads(self._packed))  # noqa: S301  (from the process we belong to)
            opened = self._job.get()
            function, arguments = pickle.loads(request)  # noqa: S301  (likewise)
            return _done(function, opened, arguments)
        except Exception as error:  # noqa: BLE001  (whatever it is, the other side raises it)
            return refusal(error)


def refusal(error: Exception) -> bytes:
    """The answer that lets the run end with an error; what a worker saw is added to one that is not hepfilter's."""
    if not isinstance(error, HepfilterError):
        error.add_note("in a worker:\n" + "".join(traceback.format_exception(error)))
    return _pack_error(_Kind.RAISED, error)


def _done(function: Any, opened: Any, arguments: tuple[Any, ...]) -> bytes:
    try:
        value = function(opened, *arguments)
    except HepfilterError as error:
        return _pack_error(_Kind.ERROR, error)
    return pickle.dumps((_Kind.VALUE, value), protocol=5)


def _pack_error(kind: _Kind, error: Exception) -> bytes:
    """An answer with an error; one that does not survive the way becomes a RuntimeError that names it."""
    try:
        answer = pickle.dumps((kind, error))
        pickle.loads(answer)  # noqa: S301  (our own)
    except Exception:  # noqa: BLE001  (pickles fail in many ways)
        named = RuntimeError(f"{type(error).__name__}: {error}")
        named.add_note("\n".join(getattr(error, "__notes__", ())))
        answer = pickle.dumps((_Kind.RAISED, named))
    return answer
