"""A job's quick start: as a copy of a process that has imported its libraries already.

To import torch takes three seconds, and a study has thousands of jobs of a few seconds' work. So the first job of a
call of Snakemake that has imported it leaves a copy of itself as it is before its work: the prepared process. It waits
for as long as that Snakemake lives, and forks for each later job. The fork runs the job's script, with the job's own
input and output; the process that Snakemake began only passes signals on, and ends as the fork ends. What else of other
libraries a job had to import, the prepared process then imports as well, for the jobs to come.

Nothing is computed in another way by that. A prepared process is asked only by jobs whose surroundings are its own to
the letter (variables, limits, processors, folder, namespaces), since libraries read them while they are imported; and
our own modules are imported anew by each job. Where there is none, a job imports everything itself: the first job, one
on a cluster's node, whose memory is planned for one job, another system than Linux, and a machine with a GPU, on which
this has never been tried.
"""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import hashlib
import importlib
import json
import os
import pkgutil
import resource
import select
import signal
import socket
import struct
import sys
import threading
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, NoReturn

SNAKEMAKE = "PHENOVIEWS_SNAKEMAKE"  # the variable that holds the process number of the Snakemake that runs a job
LIBRARY = "torch"
GPUS = ("nvidiactl", "kfd", "dxg")  # in /dev
MOST = 4  # prepared processes of one Snakemake, each of which holds half a gigabyte; jobs differ in their threads alone
ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2)
BEGUN = b"begun"
LOOK = 1.0  # seconds between looks at whether another process still lives
LARGEST = 1 << 17  # bytes of a message
PR_SET_PDEATHSIG = 1  # of prctl(2)


def address() -> str | None:
    """Of the prepared process for jobs like this one, in Linux's abstract namespace, where a name is free again when
    its process ends; None where there is to be none."""
    if sys.platform != "linux" or SNAKEMAKE not in os.environ or not hasattr(sys.modules["__main__"], "snakemake"):
        return None
    if any(Path("/dev", name).exists() for name in GPUS):
        return None
    os.umask(mask := os.umask(0))
    try:
        surroundings = [
            *(sorted(os.environ.items()), sys.executable, os.getcwd(), mask, os.getuid(), os.getgroups()),
            *(sorted(os.sched_getaffinity(0)), os.getpriority(os.PRIO_PROCESS, 0)),
            *(resource.getrlimit(getattr(resource, name)) for name in dir(resource) if name.startswith("RLIMIT_")),
            *(os.readlink(link) for link in sorted(Path("/proc/self/ns").iterdir())),
            Path("/proc/self/cgroup").read_text(),
        ]
    except OSError:  # a system that does not tell
        return None
    return f"\0{_family()}{hashlib.sha256(repr(surroundings).encode()).hexdigest()}"


def _family() -> str:
    """How the addresses of this Snakemake's prepared processes begin, after the zero."""
    return f"phenoviews-{os.environ[SNAKEMAKE]}-"


def begin(at: str | None) -> None:
    """Have the prepared process at this address run the script of this job, and end as that ends; return where there is
    no such process."""
    if at is None:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as connection:
        try:
            connection.connect(at)
            if not _is_mine(connection):
                return
            socket.send_fds(connection, [json.dumps(sys.argv).encode()], [0, 1, 2])
            if connection.recv(LARGEST) != BEGUN:
                return
        except OSError:
            return
        _end(_passed_on(connection))


def leave(at: str | None) -> None:
    """Leave a prepared process at this address, unless there is one or nothing would be won by it."""
    if at is None or LIBRARY not in sys.modules:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listening:
        try:
            # A prepared process's connections stand there under its name too.
            names = {line.split()[-1] for line in Path("/proc/net/unix").read_text().splitlines()}
            if sum(name.startswith(f"@{_family()}") for name in names) >= MOST:
                return
            snakemake = int(os.environ[SNAKEMAKE])
            start = _start(snakemake)
            listening.bind(at)
            listening.listen(128)
        except OSError:
            return
        sys.stdout.flush()
        sys.stderr.flush()
        if os.fork() == 0:
            try:
                _serve(listening, lambda: _start(snakemake) == start)
            finally:
                os._exit(0)


def _start(process: int) -> str:
    """When a process was started, as Linux counts: no other ever has the same number and start. Empty of none."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[19]
    except OSError:
        return ""


def _is_mine(connection: socket.socket) -> bool:
    """Whether the process at the other end is this user's."""
    found = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    _, user, _ = struct.unpack("3i", found)
    return bool(user == os.getuid())


def _passed_on(connection: socket.socket) -> int:
    """Pass signals on until the job has ended, and return how (`_end`). Where the process above this one ends first,
    nobody waits for the job any more: it is told so by SIGTERM."""

    def pass_on(number: int, _: object = None) -> None:
        with contextlib.suppress(OSError):  # it has ended
            connection.send(bytes([signal.SIGSTOP if number == signal.SIGTSTP else number]))
        if number == signal.SIGTSTP:
            os.kill(os.getpid(), signal.SIGSTOP)

    for number in (*ENDING, signal.SIGTSTP, signal.SIGCONT):
        signal.signal(number, pass_on)
    above = os.getppid()
    while not select.select([connection], [], [], LOOK)[0]:
        if above != os.getppid():
            above = os.getppid()
            pass_on(signal.SIGTERM)
    with contextlib.suppress(OSError):
        if said := connection.recv(LARGEST):
            return int(said)
    return -signal.SIGKILL  # who watches over the job has been killed, and so the job


def _end(code: int) -> NoReturn:
    """End this process with an exit status, or, where `code` is negative, by the signal of that number."""
    if code < 0:
        with contextlib.suppress(OSError, ValueError):  # SIGKILL has no handler
            signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    os._exit(code)


def _serve(listening: socket.socket, is_wanted: Callable[[], bool]) -> None:
    """Begin a job for each that asks, for as long as Snakemake lives; a process of its own watches over each.

    Signals are for jobs, also those that a scheduler sends to all processes that it finds.
    """
    os.setsid()
    _replace_standard_streams([os.open(os.devnull, os.O_RDWR)] * 3)
    handlers = {number: signal.signal(number, signal.SIG_IGN) or signal.SIG_DFL for number in ENDING}
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for those that watch
    learning, telling = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    telling.setblocking(False)
    while is_wanted():
        ready, _, _ = select.select([listening, learning], [], [], LOOK)
        if learning in ready:
            _import(learning.recv(LARGEST).decode().split())
        elif listening in ready:
            asking, _ = listening.accept()
            with asking:
                if os.fork() == 0:
                    listening.close()
                    learning.close()
                    _watch_over(asking, telling, handlers)
                    return


def _import(names: Iterable[str]) -> None:
    """Import modules of other libraries: of ours the code is stated by who imports it by its name."""
    for name in names:
        with contextlib.suppress(Exception):  # what cannot be imported by its name, or not here
            pkgutil.resolve_name(f"{name}:")


def _watch_over(asking: socket.socket, telling: socket.socket, handlers: Mapping[signal.Signals, Any]) -> None:
    """Begin the job that is asked for, with these handlers of signals; pass on those that it is sent, and say how it
    ended, and to `telling` what it imported. It is killed where the process that asked is, and where this one is."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    if not _is_mine(asking):
        return
    said, streams, _, _ = socket.recv_fds(asking, LARGEST, 3)
    signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)  # one that comes before the job has its handlers waits for these
    process = os.fork()
    if process == 0:
        try:
            ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
            asking.close()
            os.setpgid(0, 0)
            _replace_standard_streams(streams)
            for number, handler in handlers.items():
                signal.signal(number, handler)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDING)
            known = {*sys.modules}
            code = _run(json.loads(said))
            more = [name for name in sys.modules if name not in known and not _is_ours(name)]
            with contextlib.suppress(OSError):  # more than there is room for
                telling.send("\n".join(more).encode())
            _end(code)
        finally:
            os._exit(1)
    asking.send(BEGUN)
    for stream in streams:
        os.close(stream)
    threading.Thread(target=_pass_on, args=(asking, process), daemon=True).start()
    _, status = os.waitpid(process, 0)
    asking.send(str(os.waitstatus_to_exitcode(status)).encode())


def _pass_on(asking: socket.socket, process: int) -> None:
    """Send a process the signals that are asked for, until nobody asks any more; then kill it, and what it began."""
    with contextlib.suppress(OSError):  # it has ended
        while received := asking.recv(1):
            os.kill(process, received[0])
        os.killpg(process, signal.SIGKILL)


def _is_ours(module: str) -> bool:
    return module.partition(".")[0] == "phenoviews"


def _replace_standard_streams(streams: Sequence[int]) -> None:
    for standard, stream in enumerate(streams):
        os.dup2(stream, standard)
    for stream in set(streams):
        os.close(stream)


def _run(arguments: list[str]) -> int:
    """Run a script as Python runs one that it is called with, and return how that would end (`_end`)."""
    del os.environ[SNAKEMAKE]  # what this job begins, it begins itself
    for name in filter(_is_ours, [*sys.modules]):
        del sys.modules[name]
    importlib.invalidate_caches()
    sys.path[:] = dict.fromkeys(sys.path)  # the script adds what is in it already
    sys.argv = arguments
    sys.modules["__main__"] = script = ModuleType("__main__")
    script.__file__ = arguments[0]
    code = 0
    try:
        exec(compile(Path(arguments[0]).read_bytes(), arguments[0], "exec"), vars(script))
    except SystemExit as end:
        if not isinstance(end.code, int | None):
            print(end.code, file=sys.stderr)
        code = end.code & 0xFF if isinstance(end.code, int) else int(end.code is not None)
    except BaseException as error:
        traceback.print_exc()
        code = -signal.SIGINT if isinstance(error, KeyboardInterrupt) else 1
    for thread in threading.enumerate():
        if thread is not threading.main_thread() and not thread.daemon:
            thread.join()
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    return code
