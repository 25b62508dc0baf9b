"""Fixtures of the data tests: a web server with bad manners, a full disk."""

from __future__ import annotations

import dataclasses
import http.server
import re
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest


@dataclasses.dataclass
class Resource:
    """What the server answers for one path."""

    data: bytes
    ranges: bool = True
    cuts: list[int] = dataclasses.field(default_factory=list)  # bytes after which successive answers break off
    statuses: list[int] = dataclasses.field(default_factory=list)  # answered first, one a request
    stalls: list[int] = dataclasses.field(default_factory=list)  # as cuts, but the connection hangs
    chunked: bool = False  # sent in chunks, its length untold
    moved: str | None = None  # answered with a redirect to this path
    headers: dict[str, str] = dataclasses.field(default_factory=dict)
    asked: list[str | None] = dataclasses.field(default_factory=list)  # the Range header of every request


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        resource: Resource | None = self.server.resources.get(self.path)
        if resource is None:
            return self._status(404)
        asked = self.headers.get("Range")
        resource.asked.append(asked)
        if resource.statuses:
            return self._status(resource.statuses.pop(0))
        if resource.moved:
            return self._status(302, {"Location": resource.moved})
        start, total = 0, len(resource.data)
        if asked and resource.ranges:
            start = int(re.fullmatch(r"bytes=(\d+)-", asked)[1])
            if start >= total:
                return self._status(416, {"Content-Range": f"bytes */{total}"})
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{total - 1}/{total}")
        else:
            self.send_response(200)
        for name, value in resource.headers.items():
            self.send_header(name, value)
        if resource.chunked:
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            return self._chunks(resource, start)
        self.send_header("Content-Length", str(total - start))
        self.end_headers()
        if resource.stalls:
            self.wfile.write(resource.data[start : start + resource.stalls.pop(0)])
            self.wfile.flush()
            self.server.closing.wait(10)
            self.close_connection = True
        elif resource.cuts:
            self.wfile.write(resource.data[start : start + resource.cuts.pop(0)])
            self.wfile.flush()
            self.close_connection = True
        else:
            self.wfile.write(resource.data[start:])

    def _chunks(self, resource: Resource, start: int) -> None:
        sent = resource.data[start : start + resource.cuts[0]] if resource.cuts else resource.data[start:]
        self.wfile.write(b"%x\r\n%b\r\n" % (len(sent), sent))
        if resource.cuts:
            resource.cuts.pop(0)
            self.close_connection = True
        else:
            self.wfile.write(b"0\r\n\r\n")

    def _status(self, code: int, headers: dict[str, str] | None = None) -> None:
        self.send_response(code)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.resources: dict[str, Resource] = {}
        self.closing = threading.Event()
        self.url = f"http://127.0.0.1:{self.server_port}"

    def offer(self, path: str, data: bytes, **how: object) -> Resource:
        self.resources[path] = Resource(data, **how)
        return self.resources[path]


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setattr("phenoviews.data.download.BACKOFF", 0.01)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        yield running
        running.closing.set()
        running.shutdown()
        thread.join()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 128 KiB."""
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=128k", "tmpfs", str(folder)], capture_output=True, text=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"a small file system cannot be mounted here: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)
