"""`fetch` against a real server: ranges, cuts, wrong bytes, passing and lasting errors, file:// and a full disk."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import io
import itertools
import os
import socket
import subprocess
import sys
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from phenoviews.data import download
from phenoviews.data.download import fetch
from phenoviews.errors import UserError

DATA = np.random.default_rng(0).integers(0, 256, 1_000_000, dtype=np.uint8).tobytes()
FILE = {"name": "data.bin", "sha256": hashlib.sha256(DATA).hexdigest()}


def only_child(folder: Path) -> str:
    (child,) = folder.iterdir()
    return child.name


def test_whole_file(server, tmp_path):
    resource = server.offer("/a/data.bin", DATA)
    fetch([server.url + "/a/"], FILE, tmp_path / "new" / "data.bin")
    assert (tmp_path / "new" / "data.bin").read_bytes() == DATA
    assert resource.asked == [None]
    assert only_child(tmp_path / "new") == "data.bin"


@pytest.mark.parametrize("slash", ["", "/"])
def test_mirror_with_and_without_final_slash(server, tmp_path, slash):
    server.offer("/a/data.bin", DATA)
    fetch([server.url + "/a" + slash], FILE, tmp_path / "out")


def test_cut_connections_resume_by_range(server, tmp_path):
    """More cuts than attempts: what counts is whether new bytes come."""
    resource = server.offer("/data.bin", DATA, cuts=[100_000] * 8)
    fetch([server.url], FILE, tmp_path / "out")
    assert (tmp_path / "out").read_bytes() == DATA
    assert len(resource.asked) == 9
    starts = [int(asked.removeprefix("bytes=").removesuffix("-")) for asked in resource.asked[1:]]
    assert starts == sorted(starts)
    # Nothing that arrived is asked for again, but for less than a chunk per cut.
    assert all(start > 100_000 * n - 65536 * n for n, start in enumerate(starts, 1))


def interrupted(server, tmp_path: Path, after: int) -> tuple[Path, object]:
    """A download that got `after` bytes before the server went away: its .part and the resource."""
    resource = server.offer("/data.bin", DATA, cuts=[after, 0, 0, 0])
    with pytest.raises(UserError, match=r"cut after .* \(4 attempts\)"):
        fetch([server.url], FILE, tmp_path / "out")
    (part,) = tmp_path.iterdir()
    resource.asked.clear()
    return part, resource


def test_resume_in_a_later_process(server, tmp_path):
    part, resource = interrupted(server, tmp_path, 600_000)
    kept = part.stat().st_size
    assert 600_000 - 65536 < kept <= 600_000
    assert DATA.startswith(part.read_bytes())
    fetch([server.url], FILE, tmp_path / "out")
    assert resource.asked == [f"bytes={kept}-"]
    assert (tmp_path / "out").read_bytes() == DATA
    assert only_child(tmp_path) == "out"


def test_killed_download_resumes(server, tmp_path, root):
    resource = server.offer("/data.bin", DATA, stalls=[300_000])
    code = f"from phenoviews.data.download import fetch; fetch([{server.url!r}], {FILE!r}, {str(tmp_path / 'out')!r})"
    environment = os.environ | {"PYTHONPATH": str(root / "workflow" / "scripts")}
    process = subprocess.Popen([sys.executable, "-c", code], env=environment, stderr=subprocess.DEVNULL)
    for _ in range(1000):
        sizes = [part.stat().st_size for part in tmp_path.glob("out.*.part")]
        if sizes and sizes[0] >= 4 * 65536:
            break
        time.sleep(0.02)
    process.kill()
    process.wait()
    fetch([server.url], FILE, tmp_path / "out")
    assert (tmp_path / "out").read_bytes() == DATA
    assert resource.asked == [None, f"bytes={sizes[0]}-"]
    assert only_child(tmp_path) == "out"


def test_complete_part_is_not_downloaded_again(server, tmp_path):
    part, resource = interrupted(server, tmp_path, 1)
    part.write_bytes(DATA)
    fetch([server.url], FILE, tmp_path / "out")
    assert resource.asked == [f"bytes={len(DATA)}-"]
    assert (tmp_path / "out").read_bytes() == DATA


@pytest.mark.parametrize("stale", [b"\0" * 5000, DATA + b"more", b"\0" * len(DATA)], ids=["wrong", "longer", "as long"])
def test_stale_part_is_thrown_away(server, tmp_path, stale):
    part, _ = interrupted(server, tmp_path, 1)
    part.write_bytes(stale)
    fetch([server.url], FILE, tmp_path / "out")
    assert (tmp_path / "out").read_bytes() == DATA
    assert only_child(tmp_path) == "out"


def test_hanging_connection_times_out_and_resumes(server, tmp_path, monkeypatch):
    monkeypatch.setattr("phenoviews.data.download.TIMEOUT", (1, 0.2))
    resource = server.offer("/data.bin", DATA, stalls=[65536, 131072])
    fetch([server.url], FILE, tmp_path / "out")
    assert (tmp_path / "out").read_bytes() == DATA
    assert resource.asked == [None, "bytes=65536-", "bytes=196608-"]


def test_hanging_server_gives_way_to_the_next_mirror(server, tmp_path, monkeypatch):
    monkeypatch.setattr("phenoviews.data.download.TIMEOUT", (1, 0.1))
    server.offer("/hangs/data.bin", DATA, stalls=[0] * 9)
    server.offer("/data.bin", DATA)
    fetch([server.url + "/hangs", server.url], FILE, tmp_path / "out")
    assert only_child(tmp_path) == "out"


def test_server_without_ranges_starts_over(server, tmp_path):
    resource = server.offer("/data.bin", DATA, ranges=False, cuts=[300_000, 400_000])
    fetch([server.url], FILE, tmp_path / "out")
    assert (tmp_path / "out").read_bytes() == DATA
    assert len(resource.asked) == 3


def test_server_without_ranges_that_always_cuts_ends(server, tmp_path):
    resource = server.offer("/data.bin", DATA, ranges=False, cuts=[300_000] * 50)
    with pytest.raises(UserError, match="4 attempts"):
        fetch([server.url], FILE, tmp_path / "out")
    assert len(resource.asked) <= 5


@pytest.mark.parametrize("status", [429, 500, 503])
def test_passing_errors_are_tried_again(server, tmp_path, status):
    resource = server.offer("/data.bin", DATA, statuses=[status] * 3)
    fetch([server.url], FILE, tmp_path / "out")
    assert len(resource.asked) == 4


def test_lasting_error_goes_to_the_next_mirror_at_once(server, tmp_path):
    server.offer("/b/data.bin", DATA)
    forbidden = server.offer("/c/data.bin", DATA, statuses=[403] * 9)
    fetch([server.url + "/a", server.url + "/c", server.url + "/b"], FILE, tmp_path / "out")
    assert len(forbidden.asked) == 1
    assert only_child(tmp_path) == "out"


def test_wrong_bytes_are_deleted_and_the_next_mirror_is_tried(server, tmp_path):
    server.offer("/a/data.bin", DATA[:-1] + b"?")
    server.offer("/b/data.bin", DATA)
    fetch([server.url + "/a", server.url + "/b"], FILE, tmp_path / "out")
    assert (tmp_path / "out").read_bytes() == DATA
    assert only_child(tmp_path) == "out"


def test_every_mirror_is_named_with_its_reason(server, tmp_path):
    server.offer("/wrong/data.bin", b"<html>log in to the network</html>")
    with contextlib.closing(socket.socket()) as taken:
        taken.bind(("127.0.0.1", 0))  # bound, not listening: a connection is refused
        refused = f"http://127.0.0.1:{taken.getsockname()[1]}"
        mirrors = [
            server.url + "/none",
            server.url + "/wrong",
            refused,
            f"file://{tmp_path}/nowhere",
            "file://relative/folder",
            "ftp://example.org/",
            "http://[",
        ]
        with pytest.raises(UserError) as caught:
            fetch(mirrors, FILE, tmp_path / "out")
    message = str(caught.value)
    for mirror in mirrors:
        assert mirror.rstrip("/") + "/data.bin: " in message
    for reason in (
        "HTTP 404 Not Found",
        "wrong bytes, sha256 is",
        "Connection refused (4 attempts)",
        "No such file or directory",
        "three slashes",
        "not an http://",
    ):
        assert reason in message
    assert "\n" not in message
    assert list(tmp_path.iterdir()) == []


def test_unknown_host(tmp_path, monkeypatch):
    monkeypatch.setattr("phenoviews.data.download.BACKOFF", 0.0)
    with pytest.raises(UserError, match=r"data\.bin: no mirror gave it .*no-such-host\.invalid"):
        fetch(["http://no-such-host.invalid/"], FILE, tmp_path / "out")


def test_redirects_are_followed(server, tmp_path):
    server.offer("/new/data.bin", DATA)
    server.offer("/old/data.bin", b"", moved="/new/data.bin")
    server.offer("/round/data.bin", b"", moved="/round/data.bin")
    fetch([server.url + "/round", server.url + "/old"], FILE, tmp_path / "out")
    assert (tmp_path / "out").read_bytes() == DATA


@pytest.mark.parametrize("level", [1, 9])
def test_checksum_of_the_content_whatever_the_compression(server, tmp_path, level):
    """The .gz stays as the mirror has it, also where the server says that it is compressed on the way."""
    packed = gzip.compress(DATA, level)
    server.offer("/data.gz", packed, headers={"Content-Encoding": "gzip"})
    file = {"name": "data.gz", "md5": hashlib.md5(DATA).hexdigest(), "content": "gzip"}
    fetch([server.url], file, tmp_path / "data.gz")
    assert (tmp_path / "data.gz").read_bytes() == packed


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (gzip.compress(DATA)[:-100], "not a whole gzip file"),
        (b"plain", "not a whole gzip file"),
        (gzip.compress(DATA)[:5000] + b"\0" * 50 + gzip.compress(DATA)[5050:], "not a whole gzip file|wrong bytes"),
        (gzip.compress(b"other"), "wrong bytes, md5 of the content is"),
    ],
    ids=itertools.count(),
)
def test_broken_gzip(server, tmp_path, data, reason):
    server.offer("/data.gz", data)
    file = {"name": "data.gz", "md5": hashlib.md5(DATA).hexdigest(), "content": "gzip"}
    with pytest.raises(UserError, match=reason):
        fetch([server.url], file, tmp_path / "data.gz")
    assert list(tmp_path.iterdir()) == []


def test_sha256_prefix(server, tmp_path):
    server.offer("/w.pth", DATA)
    digest = hashlib.sha256(DATA).hexdigest()
    fetch([server.url], {"name": "w.pth", "sha256_prefix": digest[:8].upper()}, tmp_path / "w.pth")
    with pytest.raises(UserError, match="wrong bytes, sha256 is"):
        fetch([server.url], {"name": "w.pth", "sha256_prefix": digest[1:9]}, tmp_path / "w2.pth")


@pytest.mark.parametrize(
    "checksum",
    [{}, {"md5": "0" * 31}, {"sha256": "z" * 64}, {"sha256_prefix": "1234567"}, {"md5": "0" * 32, "sha256": "0" * 64}],
)
def test_checksum_is_required_and_checked_for_form(tmp_path, checksum):
    with pytest.raises(UserError, match="exactly one checksum"):
        fetch(["file:///"], {"name": "data.bin", **checksum}, tmp_path / "out")


def test_file_mirror(tmp_path):
    source = tmp_path / "a folder" / "data.bin"
    source.parent.mkdir()
    source.write_bytes(DATA)
    fetch([source.parent.as_uri()], FILE, tmp_path / "out")
    fetch([f"file://{source.parent}/"], FILE, tmp_path / "out2")  # blanks as they are typed
    assert (tmp_path / "out").read_bytes() == (tmp_path / "out2").read_bytes() == DATA
    assert source.read_bytes() == DATA


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo])
def test_file_mirror_that_is_no_file(tmp_path, make):
    """A FIFO would wait for ever, a device such as /dev/zero would never end."""
    make(tmp_path / "data.bin")
    with pytest.raises(UserError, match="not a regular file"):
        fetch([tmp_path.as_uri()], FILE, tmp_path / "out")
    with pytest.raises(UserError, match="not a regular file"):
        fetch(["file:///dev"], FILE | {"name": "zero"}, tmp_path / "out")


def test_full_disk(server, small_disk):
    """The error is about the disk, no other mirror is tried, and freeing space lets the download go on."""
    server.offer("/a/data.bin", DATA)
    second = server.offer("/b/data.bin", DATA)
    for mirrors in ([server.url + "/a", server.url + "/b"], [f"file://{small_disk.parent}"]):
        (small_disk.parent / "data.bin").write_bytes(DATA)
        with pytest.raises(UserError, match="no space left"):
            fetch(mirrors, FILE, small_disk / "data.bin")
        assert not (small_disk / "data.bin").exists()
        for part in small_disk.iterdir():
            part.unlink()
    assert second.asked == []


def test_progress_bar(server, tmp_path, capsys):
    server.offer("/data.bin", DATA)
    fetch([server.url], FILE, tmp_path / "out")
    shown = capsys.readouterr().err
    assert "data.bin" in shown
    assert "1.00M/1.00M" in shown


# --- files whose checksum nobody has published: recorded at first sight, enforced after ---


def zipped(members: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return stream.getvalue()


PLATE = zipped({"Week1_22123/a.tif": DATA[:300_000], "Week1_22123/b.tif": DATA[300_000:600_000]})
ARCHIVE = {"name": "plate.zip"}


def line(data: bytes, name: str = "plate.zip") -> str:
    return f"{hashlib.sha256(data).hexdigest()}  {name}\n"


@pytest.fixture
def record(tmp_path):
    return tmp_path / "checksums" / "screen.sha256"


def test_first_sight_is_recorded_and_enforced_after(server, tmp_path, record):
    server.offer("/plate.zip", PLATE)
    fetch([server.url], ARCHIVE, tmp_path / "first.zip", record)
    assert record.read_text() == line(PLATE)
    fetch([server.url], ARCHIVE, tmp_path / "again.zip", record)
    assert record.read_text() == line(PLATE)
    assert (tmp_path / "again.zip").read_bytes() == PLATE

    server.offer("/plate.zip", zipped({"Week1_22123/a.tif": b"another whole archive"}))
    with pytest.raises(UserError) as caught:
        fetch([server.url], ARCHIVE, tmp_path / "changed.zip", record)
    for said in (f"{record}, line 1", "delete that line", line(PLATE).split()[0]):
        assert said in str(caught.value)
    assert record.read_text() == line(PLATE)
    assert not list(tmp_path.glob("changed*"))

    server.offer("/good/plate.zip", PLATE)
    fetch([server.url, server.url + "/good"], ARCHIVE, tmp_path / "changed.zip", record)
    record.write_text("")  # what the error proposes
    fetch([server.url], ARCHIVE, tmp_path / "new.zip", record)
    assert record.read_text() != line(PLATE)


def test_record_is_what_sha256sum_checks(server, tmp_path, record):
    server.offer("/plate.zip", PLATE)
    server.offer("/t.csv", b"a,b\n1,2\n")
    for name in ("plate.zip", "t.csv"):
        fetch([server.url], {"name": name}, tmp_path / name, record)
    subprocess.run(["sha256sum", "--check", "--strict", record], cwd=tmp_path, check=True, capture_output=True)


def spoilt(at: int) -> bytes:
    return PLATE[:at] + bytes([PLATE[at] ^ 255]) + PLATE[at + 1 :]


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("plate.zip", spoilt(100_000)),
        ("plate.zip", spoilt(len(PLATE) - 100)),
        ("plate.zip", PLATE[:-1]),
        ("plate.zip", PLATE[: len(PLATE) // 2]),
        ("plate.zip", PLATE[5:]),
        ("plate.zip", b"<html>log in to the network</html>"),
        ("plate.zip", b""),
        ("t.csv.gz", gzip.compress(DATA)[:-9]),
        ("t.csv", b"<html>\n<p>log in, please\n</html>\n"),
        ("t.csv", b"compound,concentration\ntaxol,1\nnocod"),
        ("t.csv", b"compound,concentration\n\xff\xfe,1\n"),
        ("t.csv", b""),
    ],
    ids=itertools.count(),
)
def test_corrupt_bytes_at_first_sight_are_not_recorded(server, tmp_path, record, name, data):
    """The next mirror's good bytes are; where there is none, nothing is left."""
    good = {"plate.zip": PLATE, "t.csv": b"compound,concentration\ntaxol,1\n", "t.csv.gz": gzip.compress(DATA)}[name]
    server.offer(f"/a/{name}", data)
    server.offer(f"/b/{name}", good)
    with pytest.raises(UserError, match=r"wrong bytes|not a whole|no whole table"):
        fetch([server.url + "/a"], {"name": name}, tmp_path / "out", record)
    assert list(tmp_path.iterdir()) == []
    fetch([server.url + "/a", server.url + "/b"], {"name": name}, tmp_path / "out", record)
    assert (tmp_path / "out").read_bytes() == good
    assert record.read_text() == line(good, name)


def test_cut_and_stalled_archive_resumes_before_it_is_recorded(server, tmp_path, record, monkeypatch):
    monkeypatch.setattr("phenoviews.data.download.TIMEOUT", (1, 0.2))
    resource = server.offer("/plate.zip", PLATE, cuts=[200_000, 100_000], stalls=[65536])
    fetch([server.url], ARCHIVE, tmp_path / "out", record)
    assert resource.asked[:2] == [None, "bytes=65536-"]
    assert record.read_text() == line(PLATE)


def test_stale_beginning_of_an_archive_is_noticed(server, tmp_path, record):
    """Half of yesterday's archive and half of today's: no checksum is known, the members' CRCs tell."""
    server.offer("/plate.zip", spoilt(1000), cuts=[200_000, 0, 0, 0])
    with pytest.raises(UserError, match="4 attempts"):
        fetch([server.url], ARCHIVE, tmp_path / "out", record)
    resource = server.offer("/plate.zip", PLATE)
    fetch([server.url], ARCHIVE, tmp_path / "out", record)
    assert [bool(asked) for asked in resource.asked] == [True, False]
    assert (tmp_path / "out").read_bytes() == PLATE


@pytest.mark.parametrize("known", [True, False])
def test_cut_chunked_answer_is_not_taken_for_whole(server, tmp_path, record, known):
    """No length was promised: only the last chunk tells that all is there."""
    table = b"compound,concentration\n" + b"taxol,1.000000\n" * 2000
    resource = server.offer("/t.csv", table, chunked=True, cuts=[23 + 15 * 700])
    checksum = {"sha256": hashlib.sha256(table).hexdigest()} if known else {}
    fetch([server.url], {"name": "t.csv", **checksum}, tmp_path / "out", record)
    assert (tmp_path / "out").read_bytes() == table
    assert len(resource.asked) == 2


def test_silent_server(tmp_path, record, monkeypatch):
    """Takes the connection and never says a word."""
    monkeypatch.setattr("phenoviews.data.download.TIMEOUT", (1, 0.1))
    monkeypatch.setattr("phenoviews.data.download.BACKOFF", 0.0)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(UserError, match=r"plate.zip: no mirror gave it .*timed out.*4 attempts.*check the network"):
            fetch([url], ARCHIVE, tmp_path / "out", record)
    assert list(tmp_path.iterdir()) == []


def test_missing_archive_is_not_recorded(server, tmp_path, record):
    with pytest.raises(UserError, match=r"plate.zip: no mirror gave it .*HTTP 404 Not Found"):
        fetch([server.url], ARCHIVE, tmp_path / "out", record)
    assert list(tmp_path.iterdir()) == []


def test_known_checksum_needs_no_record(server, tmp_path, record):
    server.offer("/data.bin", DATA)
    fetch([server.url], FILE, tmp_path / "out", record)
    assert not record.exists()


def test_only_bytes_that_can_be_checked_are_recorded(tmp_path, record):
    with pytest.raises(UserError, match=r"data.bin needs md5 or sha256"):
        fetch(["file:///nowhere"], {"name": "data.bin"}, tmp_path / "out", record)


@pytest.mark.parametrize("spoil", ["abc  plate.zip", f"{'0' * 64} plate.zip\n{'1' * 64}  plate.zip\n", "\x00"])
def test_spoilt_record_is_named_before_the_download(server, tmp_path, record, spoil):
    resource = server.offer("/plate.zip", PLATE)
    record.parent.mkdir()
    record.write_text("# of our screen\n" + line(b"", "other.zip") + spoil)
    with pytest.raises(UserError, match=r"screen.sha256: line [34] is .*restore the line or delete it"):
        fetch([server.url], ARCHIVE, tmp_path / "out", record)
    assert resource.asked == []


def test_record_without_final_newline(server, tmp_path, record):
    record.parent.mkdir()
    record.write_text(line(b"", "other.zip").rstrip())
    server.offer("/plate.zip", PLATE)
    fetch([server.url], ARCHIVE, tmp_path / "out", record)
    assert record.read_text() == line(b"", "other.zip") + line(PLATE)


def test_record_on_a_full_disk(server, tmp_path, small_disk):
    server.offer("/plate.zip", PLATE)
    record = small_disk / "screen.sha256"
    record.write_text(line(b"", "other.zip"))
    (small_disk / "fill").write_bytes(bytes((128 - 4) * 1024))
    old = record.read_text() + "#" * (4096 - len(record.read_text()))  # the next byte needs a new block
    record.write_text(old)
    with pytest.raises(UserError, match=r"screen.sha256: the checksum of plate.zip cannot be recorded \(No space left"):
        fetch([server.url], ARCHIVE, tmp_path / "out", record)
    assert record.read_text() == old
    assert not (tmp_path / "out").exists()
    (small_disk / "fill").unlink()
    fetch([server.url], ARCHIVE, tmp_path / "out", record)
    assert record.read_text() == old + "\n" + line(PLATE)


def test_downloads_at_once_add_one_line_each(tmp_path, record, monkeypatch):
    """Several record at the same time, some of them the same name; a slow disk makes them meet."""
    read = download._recorded
    monkeypatch.setattr(download, "_recorded", lambda path: (read(path), time.sleep(0.02))[0])
    names = [f"{number}.csv" for number in range(4)]
    for name in names:
        (tmp_path / name).write_text(f"a,b\n{name},1\n")

    def get(job: int) -> None:
        fetch([tmp_path.as_uri()], {"name": names[job % 4]}, tmp_path / "out" / str(job), record)

    with ThreadPoolExecutor(12) as pool:
        list(pool.map(get, range(12)))
    expected = [line((tmp_path / name).read_bytes(), name) for name in names]
    assert sorted(record.read_text().splitlines(keepends=True)) == sorted(expected)
