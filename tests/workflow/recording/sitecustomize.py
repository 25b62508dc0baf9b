"""Put first on PYTHONPATH, this writes down what a Snakemake job's script used of our library: every module that was
imported, and every definition whose code ran once the imports were through."""

from __future__ import annotations

import atexit
import json
import os
import sys
import threading
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, PathFinder
from types import CodeType, FrameType, ModuleType

LIBRARY = f"{os.sep}workflow{os.sep}scripts{os.sep}phenoviews{os.sep}"
FUNCTION = 0x1  # CO_OPTIMIZED: not the body of a module or a class
ran: set[CodeType] = set()
met: dict[int, CodeType] = {}  # by their numbers, since a code object is slow to look up


def record(frame: FrameType, _event: str, _: object) -> None:
    code = frame.f_code
    if id(code) in met:
        return
    if LIBRARY not in code.co_filename or not code.co_flags & FUNCTION:
        met[id(code)] = code
        return
    above = frame.f_back
    while above is not None:
        if above.f_code.co_name == "<module>" and LIBRARY in above.f_code.co_filename:
            return  # a decorator, while its module is imported
        above = above.f_back
    met[id(code)] = code
    ran.add(code)


class Untraced:
    """Puts the tracer aside while another library is imported: of torch's import it would be a quarter."""

    @staticmethod
    def find_spec(name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        if sys.gettrace() is None or name.split(".")[0] == "phenoviews":
            return None
        spec = PathFinder.find_spec(name, path, target)
        if spec is not None and hasattr(spec.loader, "exec_module"):
            execute = spec.loader.exec_module

            def untraced(module: ModuleType) -> None:
                sys.settrace(None)
                try:
                    execute(module)
                finally:
                    sys.settrace(record)

            spec.loader.exec_module = untraced
        return spec


def write() -> None:
    job = getattr(sys.modules["__main__"], "snakemake", None)
    if job is None:
        return
    definitions = sorted({(code.co_filename.split(LIBRARY)[1], code.co_qualname.split(".")[0]) for code in ran})
    modules = sorted(name for name in sys.modules if name.split(".")[0] == "phenoviews")
    script = os.path.basename(sys.argv[0]).partition(".")[2]  # tmpabc.pretrain.py
    record = {"rule": job.rule, "script": script, "modules": modules, "definitions": definitions}
    record |= {"params": dict(job.params.items()), "wildcards": dict(job.wildcards.items())}
    with open(os.path.join(os.environ["RECORDED"], f"{os.getpid()}.json"), "w") as stream:
        json.dump(record, stream, default=str)


# Jobs alone: Snakemake itself calls a function of its own a million times.
if "RECORDED" in os.environ and any("/.snakemake/scripts/" in argument for argument in sys.orig_argv):
    # A tracer hears of calls alone where it returns nothing; a profiler of every return and of built-ins too.
    sys.meta_path.insert(0, Untraced)
    sys.settrace(record)
    threading.settrace(record)
    atexit.register(write)
    # A copy of this process runs a script of its own.
    os.register_at_fork(after_in_child=ran.clear)
    os.register_at_fork(after_in_child=met.clear)
