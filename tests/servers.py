"""Servers on the loopback interface that serve the files of a folder: HTTP with ranges, XRootD where installed."""

import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


@dataclass
class Served:
    """A running server: the address that file names are put behind, and (HTTP) the bytes of each answer."""

    address: str
    sent: list[int] = field(default_factory=list)


@contextmanager
def http_server(folder: Path, *, ranges: bool = True) -> Iterator[Served]:
    """Serve a folder over HTTP; without `ranges` every answer is the whole file."""
    served = Served("")

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_HEAD(self) -> None:
            self.answer(body=False)

        def do_GET(self) -> None:
            self.answer(body=True)

        def answer(self, *, body: bool) -> None:
            path = folder / self.path.lstrip("/").partition("?")[0]
            if not path.is_file():
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
            self.send_header("Content-Length", str(stop - start))
            self.end_headers()
            if body:
                served.sent.append(stop - start)
                with path.open("rb") as stream:
                    stream.seek(start)
                    self.wfile.write(stream.read(stop - start))

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
        server.shutdown()
        server.server_close()
        thread.join()


def has_xrootd() -> bool:
    """Whether XRootD's server and its Python client are installed."""
    from importlib.util import find_spec

    return shutil.which("xrootd") is not None and find_spec("fsspec_xrootd") is not None


@contextmanager
def xrootd_server(folder: Path, work: Path) -> Iterator[Served]:
    """Serve a folder over XRootD; `work` holds its own files. The server refuses to run as root: it becomes another."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    for name in ("admin", "run", "log"):
        (work / name).mkdir(parents=True)
    (work / "x.cfg").write_text(
        f"xrd.port {port}\nxrd.network nodnr\nall.export /\noss.localroot {folder}\n"
        f"all.adminpath {work}/admin\nall.pidpath {work}/run\n"
    )
    command = ["xrootd", "-c", str(work / "x.cfg"), "-l", str(work / "log" / "log")]
    if os.geteuid() == 0:
        user = pwd.getpwnam("xrootd")
        for path in (work, *work.rglob("*")):
            os.chown(path, user.pw_uid, user.pw_gid)
        for path in (folder, work, *folder.parents, *work.parents):
            if path.stat().st_uid == 0 and path.is_relative_to("/tmp") and path != Path("/tmp"):
                path.chmod(path.stat().st_mode | 0o755)
        command = ["setpriv", "--reuid=xrootd", "--regid=xrootd", "--clear-groups", *command]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    try:
        _wait_for(port, server)
        yield Served(f"root://127.0.0.1:{port}//")
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait()


def _wait_for(port: int, server: subprocess.Popen) -> None:
    """Until the server answers; AssertionError after 20 s."""
    for _ in range(200):
        assert server.poll() is None, "the server ended"
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise AssertionError("the server does not answer")
