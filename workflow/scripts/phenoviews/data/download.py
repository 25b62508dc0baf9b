"""Download one file from the first mirror that gives the right bytes."""

from __future__ import annotations

import csv
import errno
import fcntl
import gzip
import hashlib
import io
import os
import re
import shutil
import time
import urllib.parse
import urllib.request
import zipfile
import zlib
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import NoReturn

import requests
import urllib3
from tqdm import tqdm

from phenoviews.errors import UserError
from phenoviews.files import BROKEN_ZIP, atomic

TIMEOUT = (10, 30)  # seconds to connect, and between two pieces of the answer
ATTEMPTS = 4  # in a row without a new byte, per mirror
BACKOFF = 1.0  # seconds before the second attempt; doubles with each further one
CHUNK = 1 << 16  # bytes; what a cut connection loses at most
CHECKSUMS = {"md5", "sha256", "sha256_prefix"}

TRANSIENT = (requests.RequestException, urllib3.exceptions.HTTPError, ConnectionError, TimeoutError)
FINAL = (requests.exceptions.SSLError, requests.exceptions.InvalidURL, requests.exceptions.TooManyRedirects)
PASSING_STATUS = (408, 425, 429, 500, 502, 503, 504)


Verify = Callable[[Path], None]  # raises `_MirrorFailed` for wrong bytes


class _MirrorFailed(Exception):
    """Why one mirror cannot give the file."""


def fetch(mirrors: Sequence[str], file: Mapping[str, str], out: str | Path, record: str | Path | None = None) -> None:
    """Download `file["name"]` from the first of `mirrors` (https, http or file:// folders) that has it, to `out`.

    `file` is `{name, md5 | sha256 | sha256_prefix, content?}`. The checksum is of the file, or with `content: gzip` of
    what the gzip file holds, since mirrors compress anew. `sha256_prefix` has at least 8 digits, as in the names of
    torchvision's weights. A download that was cut goes on by HTTP range where it stopped, in this process or a later
    one: the bytes of each mirror wait in `{out}.{hash of the address}.part`. Timeouts, cut connections and the server's
    passing errors are tried again with growing pauses; wrong bytes are deleted and the next mirror is tried.

    A file whose checksum nobody has published (`file` is `{name}`; a .zip, .gz or .csv) is held to `record`, a file in
    sha256sum's format. Where the record lacks the name, the bytes are checked as far as they tell by themselves (every
    member of an archive against its CRC, the columns of a table) and their checksum is added.

    Raises `UserError` naming every mirror and its reason when none is left, or at once when the disk is full.
    """
    out = Path(out)
    if record is not None and not CHECKSUMS & file.keys():
        # Told before anything is downloaded; so is a spoilt record.
        if file["name"] not in _recorded(record) and not file["name"].endswith((".zip", ".gz", ".csv")):
            raise UserError(f"files: {file['name']} needs md5 or sha256; only a .zip, .gz or .csv goes without")
        verify = partial(_hold_to_record, name=file["name"], record=Path(record))
    else:
        _expected(file)
        verify = partial(_verify, file=file)
    urls = [mirror.rstrip("/") + "/" + file["name"] for mirror in mirrors]
    parts = [out.with_name(f"{out.name}.{hashlib.sha256(url.encode()).hexdigest()[:8]}.part") for url in urls]
    reasons = []
    with atomic(out) as final:  # around it all, since a full disk shows first in a .part
        for url, part in zip(urls, parts, strict=True):
            try:
                _obtain(url, part, verify)
            except _MirrorFailed as reason:
                reasons.append(f"{url}: {reason}")
                continue
            os.replace(part, final)
            break
        else:
            raise UserError(
                f"{file['name']}: no mirror gave it [{'; '.join(reasons) or 'none is listed'}]; check the network, "
                "or add the file:// address of a folder that has the file to its `mirrors`"
            )
    for part in parts:
        part.unlink(missing_ok=True)


def _expected(file: Mapping[str, str]) -> tuple[str, str]:
    """The hash function and the (beginning of the) hexadecimal digest of a `files` entry."""
    given = [key for key in CHECKSUMS if key in file]
    digits = str(file[given[0]]).lower() if len(given) == 1 else ""
    if not re.fullmatch(
        {"md5": "[0-9a-f]{32}", "sha256": "[0-9a-f]{64}"}.get("".join(given), "[0-9a-f]{8,64}"), digits
    ):
        raise UserError(
            f"files: {file['name']} needs exactly one checksum: md5 (32 hexadecimal digits), sha256 (64) or "
            "sha256_prefix (8 or more)"
        )
    if file.get("content", "gzip") != "gzip":
        raise UserError(f"files: {file['name']} has content {file['content']!r}; leave it out or say gzip")
    return given[0].removesuffix("_prefix"), digits


def _verify(path: Path, file: Mapping[str, str]) -> None:
    name, digits = _expected(file)
    zipped = "content" in file
    try:
        with gzip.open(path) if zipped else path.open("rb") as stream:
            digest = _digest(stream, name)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise _MirrorFailed(f"not a whole gzip file ({error})") from error
    if not digest.startswith(digits):
        what = f"{name} of the content" if zipped else name
        raise _MirrorFailed(f"wrong bytes, {what} is {digest} and should be {digits}")


def _digest(stream: io.BufferedIOBase, name: str) -> str:
    digest = hashlib.new(name, usedforsecurity=False)
    while block := stream.read(1 << 20):
        digest.update(block)
    return digest.hexdigest()


# --- a record of the checksums that nobody has published ---


def _recorded(record: str | Path) -> dict[str, tuple[str, int]]:
    """The sha256 and the line of every name in `record`."""
    try:
        lines = Path(record).read_text().splitlines() if Path(record).exists() else []
    except (OSError, ValueError) as error:
        raise UserError(f"{record}: cannot be read ({error}); restore it, it holds checksums of downloads") from error
    found: dict[str, tuple[str, int]] = {}
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.startswith("#"):
            continue
        match = re.fullmatch(r"([0-9a-f]{64}) [ *](.+)", line)
        if not match or found.get(match[2], (match[1],))[0] != match[1]:
            what = "is a second one for its file" if match else "is not '<sha256>  <file name>'"
            raise UserError(f"{record}: line {number} {what}; restore the line or delete it")
        found.setdefault(match[2], (match[1], number))
    return found


def _hold_to_record(path: Path, name: str, record: Path) -> None:
    """Hold the bytes to the record's checksum of `name`; where it has none, check them and record theirs."""
    if name not in _recorded(record):
        _check_whole(path, name)
    with path.open("rb") as stream:
        digest = _digest(stream, "sha256")
    try:
        expected, line = _remember(record, name, digest)
    except OSError as error:
        raise UserError(
            f"{record}: the checksum of {name} cannot be recorded ({error.strerror}); "
            "make the file writable or set the screen's `checksums`"
        ) from error
    if digest != expected:
        raise _MirrorFailed(
            f"wrong bytes, sha256 is {digest} and should be {expected} by {record}, line {line}, written when the file "
            "was first seen; if the file was replaced for good, delete that line"
        )


def _remember(record: Path, name: str, digest: str) -> tuple[str, int]:
    """The record's checksum of `name` and its line; where it has none, `digest` is added first."""
    record.parent.mkdir(parents=True, exist_ok=True)
    with record.open("ab", buffering=0) as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)  # other downloads add to it at the same time; released by closing
        if name not in (known := _recorded(record)):
            line = f"{digest}  {name}\n".encode()
            if record.read_bytes()[-1:] not in (b"", b"\n"):
                line = b"\n" + line
            size = stream.seek(0, os.SEEK_END)
            try:
                if stream.write(line) < len(line):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                os.fsync(stream.fileno())
            except OSError:
                stream.truncate(size)  # no half line
                raise
            known = _recorded(record)
    return known[name]


def _check_whole(path: Path, name: str) -> None:
    """Raise `_MirrorFailed` for bytes that cannot be the whole file: what can be told without a checksum."""
    try:
        if name.endswith(".zip"):
            with zipfile.ZipFile(path) as archive:
                if broken := archive.testzip():
                    raise _MirrorFailed(f"wrong bytes, {broken} in the archive does not match its CRC")
        elif name.endswith(".gz"):
            with gzip.open(path) as stream:
                _digest(stream, "md5")
        else:
            with path.open(encoding="utf-8-sig", newline="") as stream:
                rows = [len(row) for row in csv.reader(stream, strict=True) if row]
            if len(rows) < 2 or len(set(rows)) > 1 or rows[0] < 2:
                widths = " or ".join(map(str, sorted(set(rows)))) or "no"
                raise _MirrorFailed(f"no whole table, but {len(rows)} rows of {widths} columns")
    except (*BROKEN_ZIP, csv.Error) as error:
        raise _MirrorFailed(f"not a whole {name.rpartition('.')[2]} file ({error})") from error


# --- one mirror ---


def _obtain(url: str, part: Path, verify: Verify) -> None:
    """Leave the right bytes in `part` or raise `_MirrorFailed`; wrong bytes are deleted."""
    getters = {"http": _download, "https": _download, "file": _copy}
    try:
        get = getters[urllib.parse.urlsplit(url).scheme]
    except (KeyError, ValueError) as error:
        raise _MirrorFailed("not an http://, https:// or file:// address") from error
    resumed = get is _download and part.exists()
    get(url, part)
    try:
        verify(part)
    except _MirrorFailed:
        part.unlink()
        if resumed:  # the old beginning may be to blame
            return _obtain(url, part, verify)
        raise


def _copy(url: str, part: Path) -> None:
    address = urllib.parse.urlsplit(url)
    path = Path(urllib.request.url2pathname(address.path))
    if address.netloc not in ("", "localhost") or not path.is_absolute():
        raise _MirrorFailed("write the absolute path after three slashes: file:///folder")
    if path.exists() and not path.is_file():
        raise _MirrorFailed("not a regular file")
    try:
        source = path.open("rb")
    except (OSError, ValueError) as error:
        raise _MirrorFailed(getattr(error, "strerror", None) or str(error)) from error
    with source, part.open("wb") as target:
        shutil.copyfileobj(source, target)


def _download(url: str, part: Path) -> None:
    """Receive `url` into `part`, going on after the bytes that it has, until it is complete."""
    failures, furthest = 0, _size(part)
    with tqdm(desc=url.rpartition("/")[2], unit="B", unit_scale=True, mininterval=1) as bar:
        while True:
            try:
                return _receive(url, part, bar)
            except FINAL as error:
                raise _MirrorFailed(_reason(error)) from error
            except TRANSIENT as error:
                # Attempts count only while nothing new comes, so a line that drops often still gets there.
                failures = 1 if _size(part) > furthest else failures + 1
                furthest = max(furthest, _size(part))
                if failures == ATTEMPTS:
                    raise _MirrorFailed(f"{_reason(error)} ({ATTEMPTS} attempts)") from error
            time.sleep(BACKOFF * 2 ** (failures - 1))


def _receive(url: str, part: Path, bar: tqdm[NoReturn]) -> None:
    """One request. Raises one of TRANSIENT or FINAL, or `_MirrorFailed` for an answer that will not change."""
    start = _size(part)
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={start}-"} if start else {})
    with requests.get(url, headers=headers, stream=True, timeout=TIMEOUT) as response:
        status = f"HTTP {response.status_code} {response.reason}"
        answered = re.fullmatch(r"bytes (?:(\d+)-\d+|\*)/(\d+|\*)", response.headers.get("Content-Range", ""))
        if response.status_code == 416 and start:
            if answered and answered[2] == str(start):
                return  # all bytes were there already
            part.unlink()
            raise requests.HTTPError(status)
        if response.status_code in PASSING_STATUS:
            raise requests.HTTPError(status)
        if response.status_code not in (200, 206):
            raise _MirrorFailed(status)
        if response.status_code == 200:
            start = 0  # a server without ranges: from the beginning
        elif not (answered and answered[1] == str(start)):
            part.unlink()
            raise requests.HTTPError("a range other than the one asked for")
        length = response.headers.get("Content-Length")
        bar.total, bar.n = (start + int(length) if length else None), start
        # The bytes as they are stored: some servers label a .gz as content that a client would decompress.
        with part.open("ab" if start else "wb") as stream:
            try:
                while chunk := response.raw.read(CHUNK, decode_content=False):
                    stream.write(chunk)
                    bar.update(len(chunk))
                ended = length is None  # an answer of unknown length ends where the server says so
            except urllib3.exceptions.ProtocolError:
                ended = False
            if ended or stream.tell() == bar.total:
                return
    raise ConnectionError(f"cut after {_size(part)} bytes" + (f" of {bar.total}" if length else ""))


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _reason(error: BaseException) -> str:
    """The innermost cause in a few words, without the address that it is reported beside."""
    cause = getattr(error.args[0] if error.args else None, "reason", None) or error
    return re.sub(r"^.*?\(.*?\): ", "", str(cause)) or type(cause).__name__
