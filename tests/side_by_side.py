#!/usr/bin/env python3
"""Python's multiprocessing and wasmpool through the same three faults, as one markdown table.

    cargo build --release
    python3 tests/side_by_side.py [PROGRAM]

Needs Linux, Python 3 and the Rust toolchain; takes less than a minute on an idle machine. Both sides do the same kind of
work (spinning), and faults are real signals from this process. Every wait has an end (PATIENCE, HANGS).
Everything that was started is ended by its process id. The exit code is 1 when wasmpool does not do as
its column of the README says.
"""

import argparse
import concurrent.futures
import json
import multiprocessing
import os
import pathlib
import platform
import signal
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
# How long anything may take that is expected to end, on a busy machine too.
PATIENCE = 120.0
# A `map` hangs that takes this long for 99 tasks of a millisecond, and one whose worker is dead.
HANGS = 20.0
# A task that would spin for far longer than this script runs.
ENDLESS_CPU_SECONDS = 600.0
# CPU time at which a worker is killed: more than starting it takes.
KILL_AT_CPU_SECONDS = 0.3
# CPU time of a task that is to be still running when another one's worker is killed.
LONG_CPU_SECONDS = 0.6

TASKS_MAP, SLOW_TASK, WORKERS_MAP = 100, 50, 4
TASKS_MANY, WORKERS_MANY = 20, 16


# What Python runs: this file again, with the name of a scene.


def spin(cpu_seconds):
    begin = time.process_time()
    while time.process_time() - begin < cpu_seconds:
        pass
    return cpu_seconds


def python_map():
    """T1. Prints how many results `map` returned."""
    tasks = [ENDLESS_CPU_SECONDS if n == SLOW_TASK else 0.001 for n in range(TASKS_MAP)]
    with multiprocessing.Pool(WORKERS_MAP) as pool:
        print(len(pool.map(spin, tasks, chunksize=1)), flush=True)


def python_many():
    """T6. Prints how many of the executor's tasks gave a result."""
    with concurrent.futures.ProcessPoolExecutor(WORKERS_MANY) as executor:
        futures = [executor.submit(spin, LONG_CPU_SECONDS) for _ in range(TASKS_MANY)]
        concurrent.futures.wait(futures)
        print(sum(future.exception() is None for future in futures), flush=True)


def python_orphans():
    """T8. Keeps its workers busy until it is killed."""
    with multiprocessing.Pool(WORKERS_MAP) as pool:
        pool.map(spin, [ENDLESS_CPU_SECONDS] * WORKERS_MAP, chunksize=1)


SCENES = {"map": python_map, "many": python_many, "orphans": python_orphans}


# Looking at processes.


def stat(pid):
    """State, parent and CPU seconds of a process, or None."""
    try:
        fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    except OSError:
        return None
    ticks = os.sysconf("SC_CLK_TCK")
    return {"state": fields[0], "parent": int(fields[1]), "cpu": (int(fields[11]) + int(fields[12])) / ticks}


def is_alive(pid):
    """True while a process runs; a zombie is dead."""
    seen = stat(pid)
    return seen is not None and seen["state"] not in "ZX"


def descendants(pid):
    parents = {}
    for entry in os.listdir("/proc"):
        seen = stat(entry) if entry.isdigit() else None
        if seen and seen["state"] not in "ZX":
            parents[int(entry)] = seen["parent"]
    found, ancestors = [], {pid}
    while ancestors:
        ancestors = {child for child, parent in parents.items() if parent in ancestors}
        found += ancestors
    return found


def kill(pid):
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


class Program:
    """A program that is started, watched and, whatever happens, ended with all its descendants."""

    def __init__(self, command, stdin=""):
        self.command = command
        self.stdin = stdin

    def __enter__(self):
        pipe, null = subprocess.PIPE, subprocess.DEVNULL
        self.process = subprocess.Popen(self.command, stdin=pipe, stdout=pipe, stderr=null, text=True)
        self.process.stdin.write(self.stdin)
        self.process.stdin.close()
        self.process.stdin = None
        return self

    def __exit__(self, *_):
        # Stopped, it cannot replace a worker between the look at its descendants and their end.
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGSTOP)
            os.waitid(os.P_PID, self.process.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
            for pid in [*descendants(self.process.pid), self.process.pid]:
                kill(pid)
        self.process.wait()
        self.process.stdout.close()

    def busiest_worker(self, workers=1):
        """The child with the most CPU time, once `workers` children are at work and it has used enough."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            seen = {pid: stat(pid) for pid in descendants(self.process.pid)}
            used = sorted((now["cpu"], pid) for pid, now in seen.items() if now)
            if len(used) >= workers and used[-1][0] >= KILL_AT_CPU_SECONDS:
                return used[-1][1]
            time.sleep(0.01)
        raise SystemExit(f"{self.command[0]} has no busy worker after {PATIENCE} s")

    def kill_busiest_worker(self, workers=1):
        kill(self.busiest_worker(workers))

    def output(self, patience=PATIENCE):
        """What it printed, or None when it does not end."""
        try:
            return self.process.communicate(timeout=patience)[0]
        except subprocess.TimeoutExpired:
            return None

    def orphans(self):
        """How many of its processes are alive a second after it was killed."""
        self.busiest_worker(WORKERS_MAP)
        children = descendants(self.process.pid)
        kill(self.process.pid)
        self.process.wait()
        time.sleep(1.0)
        left = [pid for pid in children if is_alive(pid)]
        for pid in left:
            kill(pid)
        return len(left)


# The three faults, on either side.


class Python:
    def program(self, scene):
        return Program([sys.executable, __file__, "--scene", scene])

    def t1(self):
        with self.program("map") as program:
            program.kill_busiest_worker()
            results = program.output(HANGS)
        if results is None:
            return f"`Pool.map` has not returned after {HANGS:.0f} s: 0 of {TASKS_MAP} results"
        return f"`Pool.map` returned {results.strip()} of {TASKS_MAP} results"

    def t6(self):
        with self.program("many") as program:
            program.kill_busiest_worker(WORKERS_MANY)
            results = program.output()
        if results is None:
            return f"`ProcessPoolExecutor` hangs: 0 of {TASKS_MANY} results"
        lost = TASKS_MANY - int(results)
        return f"`ProcessPoolExecutor` is broken: {lost} of {TASKS_MANY} tasks are lost"

    def t8(self):
        with self.program("orphans") as program:
            return f"{program.orphans()} processes are left"


class Wasmpool:
    def __init__(self, program):
        self.program = program
        self.module = build_primes()
        # Compiling keeps a CPU busy: it is done before anything is watched.
        subprocess.run([program, "compile", self.module], check=True, stdout=subprocess.DEVNULL)
        sample = 20_000_000
        with self.map(1, [[0, sample]]) as run:
            (record,) = self.records(run)
        self.numbers_per_cpu_second = sample / (record["cpu_ms"] / 1000)

    def map(self, workers, ranges):
        command = [self.program, "map", "--progress", "none", "--format", "jsonl", "-j", str(workers)]
        command += [self.module, "-t", "count_primes", "--starmap", "--from", "-"]
        return Program(command, "".join(f"{json.dumps(numbers)}\n" for numbers in ranges))

    def range_of(self, cpu_seconds):
        return [0, int(self.numbers_per_cpu_second * cpu_seconds)]

    def records(self, run):
        output = run.output()
        if output is None:
            raise SystemExit(f"wasmpool hangs: it has not ended after {PATIENCE} s")
        return [json.loads(line) for line in output.splitlines()]

    def codes(self, run):
        codes = [record["exit_code"] for record in self.records(run)]
        failed = [code for code in codes if code != 0]
        return f"{codes.count(0)} of {len(codes)} results", ", ".join(map(str, failed))

    def t1(self):
        ranges = [[n * 1000, n * 1000 + 1000] for n in range(TASKS_MAP)]
        ranges[SLOW_TASK] = self.range_of(ENDLESS_CPU_SECONDS)
        with self.map(WORKERS_MAP, ranges) as run:
            run.kill_busiest_worker()
            results, failed = self.codes(run)
        return f"{results}; the task whose worker was killed ends with {failed}"

    def t6(self):
        with self.map(WORKERS_MANY, [self.range_of(LONG_CPU_SECONDS)] * TASKS_MANY) as run:
            run.kill_busiest_worker(WORKERS_MANY)
            results, failed = self.codes(run)
        return f"{results}; the task whose worker was killed ends with {failed}"

    def t8(self):
        with self.map(WORKERS_MAP, [self.range_of(ENDLESS_CPU_SECONDS)] * WORKERS_MAP) as run:
            return f"{run.orphans()} processes are left"


def build_primes():
    command = ["cargo", "build", "--quiet", "--release", "--target", "wasm32-wasip2", "--message-format", "json"]
    folder = ROOT / "examples" / "primes"
    built = subprocess.run(command, cwd=folder, check=True, stdout=subprocess.PIPE, text=True)
    for line in built.stdout.splitlines():
        for name in json.loads(line).get("filenames", []):
            if name.endswith("primes.wasm"):
                return name
    raise SystemExit("cargo did not say where it put primes.wasm")


FAULTS = {
    "t1": (
        f"a worker is killed in the middle of a `map` over {TASKS_MAP} tasks",
        f"99 of {TASKS_MAP} results; the task whose worker was killed ends with 137",
    ),
    "t6": (
        f"one of {WORKERS_MANY} workers is killed, with {TASKS_MANY} tasks",
        f"19 of {TASKS_MANY} results; the task whose worker was killed ends with 137",
    ),
    "t8": (
        f"the program is killed; {WORKERS_MAP} workers are busy; one second later",
        "0 processes are left",
    ),
}


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("program", nargs="?", help="the built wasmpool [default: target/release or debug]")
    arguments.add_argument("--scene", choices=SCENES, help=argparse.SUPPRESS)
    arguments = arguments.parse_args()
    if arguments.scene:
        return SCENES[arguments.scene]()
    built = [ROOT / "target" / profile / "wasmpool" for profile in ("release", "debug")]
    program = arguments.program or next((str(path) for path in built if path.exists()), None)
    if program is None:
        raise SystemExit("build wasmpool first: cargo build --release")

    python, wasmpool = Python(), Wasmpool(program)
    version, method = platform.python_version(), multiprocessing.get_start_method()
    print(f"| what happens (SIGKILL) | Python {version} (start method {method}) | wasmpool |")
    print("|---|---|---|")
    as_promised = True
    for name, (fault, promise) in FAULTS.items():
        ours = getattr(wasmpool, name)()
        as_promised &= ours == promise
        print(f"| {fault} | {getattr(python, name)()} | {ours} |", flush=True)
    return 0 if as_promised else 1


if __name__ == "__main__":
    sys.exit(main())
