"""Jobs that begin as copies of a prepared process do, and end, as if they had begun by themselves.

Scripts here are run as Snakemake runs them. In place of torch stands a module that says when it is imported.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from phenoviews import prepared

LIBRARY = Path(__file__).parents[1] / "workflow" / "scripts"
HEAD = """\
snakemake = {number}
from phenoviews.job import reported
import os, signal, sys, time
import torch
with reported():
"""
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="a prepared process is Linux's alone")


class Jobs:
    """Jobs of one Snakemake, which is a process that sleeps."""

    def __init__(self, folder: Path):
        self.folder = folder
        (folder / "torch.py").write_text("open('imports', 'a').write('x')\n")
        self.snakemake = subprocess.Popen(["sleep", "600"])
        self.number = 0

    def start(self, body: str, *command: str, **environment: str) -> subprocess.Popen:
        self.number += 1
        script = self.folder / f"tmp{self.number}.script.py"
        script.write_text(HEAD.format(number=self.number) + "".join(f"    {line}\n" for line in body.splitlines()))
        ours = {**os.environ, prepared.SNAKEMAKE: str(self.snakemake.pid), **environment}
        del ours["PYTEST_CURRENT_TEST"]  # which has another value by now
        ours["PYTHONPATH"] = f"{self.folder}{os.pathsep}{LIBRARY}"
        return subprocess.Popen(
            # Without what shells add to the environment, so that it is the same with a command before it.
            [*command, "env", "-u", "_", "-u", "SHLVL", "-u", "OLDPWD", "-u", "PWD", sys.executable, str(script)],
            cwd=self.folder,
            env=ours,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, body: str, **environment: str) -> tuple[int, str, str]:
        job = self.start(body, **environment)
        output, errors = job.communicate()
        return job.returncode, output, errors

    def imports(self) -> int:
        return len((self.folder / "imports").read_text())


def eventually(holds) -> bool:
    """True, once it holds: without a limit, since a machine may be slow."""
    while not holds():
        time.sleep(0.01)
    return True


@pytest.fixture
def jobs(tmp_path) -> Iterator[Jobs]:
    jobs = Jobs(tmp_path)
    yield jobs
    jobs.snakemake.kill()
    jobs.snakemake.wait()


@pytest.fixture
def later(jobs) -> Jobs:
    """Jobs of a Snakemake whose first has left a prepared process."""
    assert jobs.run("print(os.getpid())")[0] == 0
    assert jobs.imports() == 1
    return jobs


def test_a_later_job_imports_nothing_again_and_is_itself_in_all_else(later):
    body = "print(snakemake, sys.argv, __name__, __file__, os.getcwd(), sys.stdin.read(), sep='|')"
    status, output, errors = later.run(body)
    script = f"{later.folder}/tmp2.script.py"
    assert (status, errors) == (0, "")
    assert output == f"2|['{script}']|__main__|{script}|{later.folder}|\n"
    assert later.imports() == 1


@pytest.mark.parametrize(
    ("body", "status", "output", "errors"),
    [
        ("print('said'); sys.exit()", 0, "said\n", ""),
        ("sys.exit(3)", 3, "", ""),
        ("sys.exit('words')", 1, "", "words\n"),
        ("raise SystemExit(1.5)", 1, "", "1.5\n"),
        ("sys.exit(True)", 1, "", ""),
        ("sys.exit(-1)", 255, "", ""),
        ("from phenoviews.errors import UserError; raise UserError('put this right')", 1, "", "put this right"),
        ("1 / 0", 1, "", "ZeroDivisionError: division by zero\n"),
        ("raise KeyboardInterrupt", -signal.SIGINT, "", "KeyboardInterrupt\n"),
        ("os.kill(os.getpid(), signal.SIGKILL)", -signal.SIGKILL, "", ""),
        ("os.kill(os.getpid(), signal.SIGSEGV)", -signal.SIGSEGV, "", ""),
        ("import atexit; atexit.register(print, 'last')", 0, "last\n", ""),
        ("import threading; threading.Timer(0.1, print, ['thread']).start()", 0, "thread\n", ""),
    ],
)
def test_it_ends_as_a_job_ends_that_began_by_itself(jobs, body, status, output, errors):
    ends = []
    for _ in range(2):
        ended, said, told = jobs.run(body)
        assert (ended, said) == (status, output)
        assert told.endswith(errors) or errors in told
        ends.append(told.splitlines()[-1:])
    assert ends[0] == ends[1]
    assert jobs.imports() == 1, "the second was no copy"


def test_its_modules_are_as_they_are_written_now(later):
    own = "print(sorted(m for m in sys.modules if m.startswith('phenoviews')), phenoviews.errors.__dict__.get('mark'))"
    first = later.run(f"import phenoviews.errors; {own}; phenoviews.errors.mark = 1")
    assert later.run(f"import phenoviews.errors; {own}") == first
    assert "None" in first[1]


def test_what_a_job_imports_besides_the_next_one_finds(later):
    (later.folder / "other.py").write_text("open('imports', 'a').write('y')\n")
    asked = "print('other' in sys.modules, 'phenoviews.errors' in sys.modules); import other, phenoviews.files"
    assert later.run(asked)[1] == "False True\n"
    assert eventually(lambda: later.imports() == 3)  # the first's, the second's, and the prepared process's
    assert later.run(asked + "; print('phenoviews.files' in sys.modules)")[1] == "True True\nTrue\n"
    assert later.run("print('phenoviews.files' in sys.modules)")[1] == "False\n"
    assert later.imports() == 3


@pytest.mark.parametrize("other", [{"OMP_NUM_THREADS": "7"}, {"ONEDNN_MAX_CPU_ISA": "SSE41"}, {"ANY": "thing"}])
def test_a_job_of_another_environment_begins_by_itself(later, other):
    later.run("pass", **other)
    assert later.imports() == 2
    later.run("pass", **other)
    later.run("pass")
    assert later.imports() == 2, "each environment has a prepared process"


def test_a_job_of_other_limits_begins_by_itself(later):
    later.start("pass", "bash", "-c", '"$@"', "-").communicate()
    assert later.imports() == 1
    later.start("pass", "bash", "-c", 'ulimit -n 500; "$@"', "-").communicate()
    assert later.imports() == 2


def test_a_job_of_another_snakemake_begins_by_itself(later):
    with subprocess.Popen(["sleep", "600"]) as other:
        later.run("pass", **{prepared.SNAKEMAKE: str(other.pid)})
        other.kill()
    assert later.imports() == 2


@pytest.mark.parametrize("number", prepared.ENDING)
def test_signals_reach_it(later, number):
    job = later.start(f"""\
signal.signal({int(number)}, lambda *_: sys.exit(7))
print('ready', flush=True)
while True: time.sleep(0.01)""")
    assert job.stdout is not None
    assert job.stdout.readline() == "ready\n"
    job.send_signal(number)
    job.communicate()
    assert job.returncode == 7
    assert later.imports() == 1


WAITS = """\
print(os.getpid(), flush=True)
while True: time.sleep(0.01)"""


def process_of(job: subprocess.Popen) -> int:
    assert job.stdout is not None
    return int(job.stdout.readline())


def stat_of(process: int) -> list[str]:
    """Its state, its parent, and more that proc(5) names."""
    return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()


def state_of(process: int) -> str:
    return stat_of(process)[0]


def parent_of(process: int) -> int:
    return int(stat_of(process)[1])


def has_ended(process: int) -> bool:
    try:
        return state_of(process) == "Z"
    except OSError:
        return True


def test_a_signal_to_all_is_the_jobs_alone(later):
    """As a scheduler sends it when a job's time is over."""
    job = later.start("""\
signal.signal(signal.SIGTERM, lambda *_: sys.exit(7))
print(os.getppid(), flush=True)
while True: time.sleep(0.01)""")
    watching = process_of(job)
    for process in (parent_of(watching), watching):
        os.kill(process, signal.SIGTERM)
    job.terminate()
    assert job.wait() == 7
    later.run("pass")
    assert later.imports() == 1


def test_it_stops_and_goes_on_with_the_process_that_snakemake_began(later):
    job = later.start(WAITS)
    process = process_of(job)
    job.send_signal(signal.SIGTSTP)
    assert eventually(lambda: state_of(process) == state_of(job.pid) == "T")
    job.send_signal(signal.SIGCONT)
    assert eventually(lambda: state_of(process) != "T")
    job.terminate()
    assert job.wait() == -signal.SIGTERM


def test_output_that_nobody_reads_is_a_failure(later):
    job = later.start("sys.stdin.read(); print('lost')")
    assert job.stdout is not None
    job.stdout.close()
    job.communicate()
    assert job.returncode not in (0, None)


def test_there_are_never_more_than_a_few(jobs):
    for number in range(2 * prepared.MOST):
        jobs.run("pass", OMP_NUM_THREADS=str(number))
    for number in range(2 * prepared.MOST):
        jobs.run("pass", OMP_NUM_THREADS=str(number))
    assert jobs.imports() == 3 * prepared.MOST


def test_jobs_that_run_are_not_taken_for_prepared_processes(later):
    running = [later.start("print('runs', flush=True); sys.stdin.read()") for _ in range(prepared.MOST)]
    for job in running:
        assert job.stdout is not None
        assert job.stdout.readline() == "runs\n"
    for _ in range(2):
        later.run("pass", OMP_NUM_THREADS="7")
    assert later.imports() == 2
    for job in running:
        job.communicate()


def test_it_dies_with_the_process_that_snakemake_began(later):
    job = later.start(WAITS)
    process = process_of(job)
    assert process != job.pid
    job.kill()
    assert eventually(lambda: has_ended(process))


def test_where_the_prepared_process_is_gone_a_job_begins_by_itself(later):
    job = later.start("print(os.getppid(), flush=True)\nsys.stdin.read()")
    waiting = parent_of(process_of(job))
    os.kill(waiting, signal.SIGSTOP)
    late = later.start("print('late')")
    os.kill(waiting, signal.SIGKILL)
    assert late.communicate()[0] == "late\n"
    job.communicate()
    assert (job.returncode, later.imports()) == (0, 2)


def test_it_is_told_when_nobody_waits_for_it(later):
    job = later.start(WAITS, "bash", "-c", '"$@"; true', "-")
    process = process_of(job)
    assert later.imports() == 1
    job.kill()
    assert eventually(lambda: has_ended(process))


def test_one_that_is_killed_says_so(later):
    job = later.start(WAITS)
    os.kill(process_of(job), signal.SIGKILL)
    job.communicate()
    assert job.returncode == -signal.SIGKILL


def test_the_prepared_process_ends_with_snakemake_and_jobs_that_run_go_on(later):
    job = later.start("print(os.getppid(), flush=True)\nsys.stdin.read()\nprint('end')")
    watching = process_of(job)
    waiting = parent_of(watching)
    later.snakemake.kill()
    later.snakemake.wait()
    assert eventually(lambda: has_ended(waiting))
    output, _ = job.communicate()
    assert (job.returncode, output) == (0, "end\n")


def test_jobs_at_once_are_their_own(later):
    started = [later.start(f"time.sleep(0.1); print({number})") for number in range(8)]
    assert [job.communicate()[0] for job in started] == [f"{number}\n" for number in range(8)]
    assert later.imports() == 1


def test_none_is_left_without_the_library_or_where_there_is_a_gpu(jobs, monkeypatch):
    (jobs.folder / "sitecustomize.py").write_text("import phenoviews.prepared as p; p.GPUS = ('null',)\n")
    jobs.run("pass")
    jobs.run("pass")
    assert jobs.imports() == 2
