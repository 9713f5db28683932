"""Servers on the loopback interface that serve the files of a folder: HTTP with ranges, S3, XRootD where installed."""

import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


@dataclass
class Served:
    """A running server: the address that file names are put behind.

    Of HTTP also the bytes of each answer that was `sent`, and the `faults` of the next ones: ``503``, ``cut`` (the
    answer ends in the middle), ``hang`` (it never comes), ``404``, or nothing.
    """

    address: str
    sent: list[int] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    requests: int = 0


@contextmanager
def http_server(folder: Path, *, ranges: bool = True) -> Iterator[Served]:
    """Serve a folder over HTTP; without `ranges` every answer is the whole file."""
    served = Served("")
    closing = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_HEAD(self) -> None:
            self.answer(body=False)

        def do_GET(self) -> None:
            self.answer(body=True)

        def answer(self, *, body: bool) -> None:
            path = folder / self.path.lstrip("/").partition("?")[0]
            served.requests += 1
            fault = served.faults.pop(0) if served.faults else ""
            if fault == "hang":
                closing.wait()
                self.close_connection = True
                return
            if fault == "503":
                self.send_error(503)
                return
            if fault == "404" or not path.is_file():
                self.send_error(404)
                return
            size = path.stat().st_size
            asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", "")) if ranges else None
            start, stop = 0, size
            if asked:
                start, stop = int(asked[1]), min(int(asked[2]) + 1 if asked[2] else size, size)
                self.send_response(206)
                self.send_header("Content-Range", f"bytes {start}-{stop - 1}/{size}")
            else:
                self.send_response(200)
            if ranges:
                self.send_header("Accept-Ranges", "bytes")
                self.send_header("Last-Modified", self.date_time_string(path.stat().st_mtime))
            self.send_header("Content-Length", str(stop - start))
            self.end_headers()
            if body:
                served.sent.append(stop - start)
                with path.open("rb") as stream:
                    stream.seek(start)
                    self.wfile.write(stream.read((stop - start) // (2 if fault == "cut" else 1)))
                self.close_connection = fault == "cut"

        def log_message(self, *_: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        request_queue_size = 256  # a reader asks for many ranges at once

    server = Server(("127.0.0.1", 0), Handler)
    served.address = f"http://127.0.0.1:{server.server_port}/"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield served
    finally:
        closing.set()
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def s3_server() -> Iterator[str]:
    """An S3 server without any bucket; its address, for ``AWS_ENDPOINT_URL``."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        yield f"http://{host}:{port}"
    finally:
        server.stop()


def s3_environment(endpoint: str) -> dict[str, str]:
    """The variables by which clients find the server, and nothing of this machine's user."""
    return {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": "a",
        "AWS_SECRET_ACCESS_KEY": "b",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": "/dev/null",
        "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
    }


def has_xrootd() -> bool:
    """Whether XRootD's server and its Python client are installed."""
    from importlib.util import find_spec

    return shutil.which("xrootd") is not None and find_spec("XRootD") is not None


class XRootD:
    """An XRootD server on a folder; `address` is what file names are put behind."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self._port = probe.getsockname()[1]
        self.address, self.sent = f"root://127.0.0.1:{self._port}//", list[int]()
        self._closed = False
        self._work = tempfile.TemporaryDirectory(prefix="xrootd", ignore_cleanup_errors=True)
        work = Path(self._work.name)
        for name in ("admin", "run", "log"):
            (work / name).mkdir(parents=True)
        (work / "x.cfg").write_text(
            f"xrd.port {self._port}\nxrd.network nodnr\nall.export /\noss.localroot {folder}\n"
            f"all.adminpath {work}/admin\nall.pidpath {work}/run\n"
        )
        self._command = ["xrootd", "-c", str(work / "x.cfg"), "-l", str(work / "log" / "log")]
        if os.geteuid() == 0:  # the server refuses to run as root: it becomes another
            user = pwd.getpwnam("xrootd")
            for path in (work, *work.rglob("*")):
                os.chown(path, user.pw_uid, user.pw_gid)
            # but reads what root may: each run of pytest takes the temporary folders of all runs from other users
            rights = ["--inh-caps=+dac_override", "--ambient-caps=+dac_override"]
            self._command = ["setpriv", "--reuid=xrootd", "--regid=xrootd", "--clear-groups", *rights, *self._command]
        self.start()

    def start(self) -> None:
        """Start it, at the address that it had; not after its end, when a test has failed before."""
        if self._closed:
            return
        self._process = subprocess.Popen(
            self._command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        )
        _wait_for(self._port, self._process)

    def send(self, number: int) -> None:
        """Send it a signal; wait for the end of one that this kills."""
        os.killpg(self._process.pid, number)
        if number in (signal.SIGKILL, signal.SIGTERM):
            self._process.wait()

    def close(self) -> None:
        """End it, whatever state it is in."""
        self._closed = True
        if self._process.poll() is None:
            self.send(signal.SIGKILL)
        self._work.cleanup()


@contextmanager
def xrootd_server(folder: Path) -> Iterator[XRootD]:
    """Serve a folder over XRootD."""
    server = _started(folder)
    try:
        yield server
    finally:
        server.close()


def _started(folder: Path, *, tries: int = 3) -> XRootD:
    """A server at a free port; at another one where somebody was quicker to take it."""
    try:
        return XRootD(folder)
    except AssertionError:
        if tries == 1:
            raise
        return _started(folder, tries=tries - 1)


def _wait_for(port: int, server: subprocess.Popen) -> None:
    """Until the server answers; AssertionError after 20 s."""
    for _ in range(200):
        assert server.poll() is None, "the server ended"
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise AssertionError("the server does not answer")
