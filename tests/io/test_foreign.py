"""What uproot does for us: remote files."""

import http.server
import re
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from hepfilter.errors import SourceError
from hepfilter.io.reading import open_file
from hepfilter.io.sources import Source
from hepfilter.io.writing import Column, create_root


class Server(http.server.ThreadingHTTPServer):
    """Serves one file, in parts as asked; `broken` refuses parts."""

    data: bytes
    broken = False


class Handler(http.server.BaseHTTPRequestHandler):
    server: Server

    def log_message(self, *_: object) -> None:
        """Be quiet."""

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        wanted = re.match(r"bytes=(\d+)-(\d*)", self.headers.get("Range") or "")
        data = self.server.data
        if self.path != "/a.root" or (wanted and self.server.broken):
            self.send_error(404 if self.path != "/a.root" else 500)
            return
        low, high = (int(wanted[1]), int(wanted[2] or len(data) - 1)) if wanted else (0, len(data) - 1)
        part = data[low : high + 1]
        self.send_response(206 if wanted else 200)
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Length", str(len(part)))
        if wanted:
            self.send_header("Content-Range", f"bytes {low}-{low + len(part) - 1}/{len(data)}")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(part)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    pytest.importorskip("aiohttp")
    numbers = np.random.default_rng(1).integers(0, 2**31, 40_000)
    columns = [Column("x", "int32"), Column("y", "int32")]
    with create_root(tmp_path / "a.root", compression="none") as out, out.new_tree("Events", columns) as tree:
        tree.extend({"x": numbers, "y": numbers[::-1]})
    with Server(("127.0.0.1", 0), Handler) as server:
        server.data = (tmp_path / "a.root").read_bytes()
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_a_remote_file_is_read_in_parts(server, tmp_path):
    with open_file(Source(str(tmp_path / "a.root"))) as file:
        wanted = file.tree("Events").values(["y"])["y"].values
    with open_file(Source(f"http://127.0.0.1:{server.server_port}/a.root")) as file:
        tree = file.tree("Events")
        assert tree.values(["y"])["y"].values.tolist() == wanted.tolist()
        assert wanted.nbytes < tree.source.read < 1.2 * wanted.nbytes


def test_a_server_that_fails_later_is_a_source_error(server):
    address = f"http://127.0.0.1:{server.server_port}/a.root"
    with open_file(Source(address)) as file:
        tree = file.tree("Events")
        server.broken = True
        with pytest.raises(SourceError, match=rf"^{address}: cannot be read from there: .*; try again later$"):
            tree.values(["x"])


def test_a_remote_file_that_is_not_there_is_a_source_error(server):
    address = f"http://127.0.0.1:{server.server_port}/b.root"
    refused = pytest.raises(SourceError, match=rf"^{address}: cannot be opened as a ROOT file: ")
    with refused, open_file(Source(address)):
        pass
