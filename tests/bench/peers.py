"""The same work in Python's multiprocessing. Prints one JSON object: `python3 peers.py MEASUREMENT N`.

Each figure is taken as the benchmark takes its own: inside the processes that do the work, from the moment
when all of them are ready, for N repetitions.
"""

import json
import multiprocessing
import signal
import sys
import time

CONTEXT = multiprocessing.get_context("fork")


def run(*targets):
    """Runs the targets as processes at the same time; what each puts into its queue, in order."""
    start, results = CONTEXT.Barrier(len(targets)), [CONTEXT.SimpleQueue() for _ in targets]
    processes = [
        CONTEXT.Process(target=target, args=(start, result, *args))
        for (target, *args), result in zip(targets, results)
    ]
    for process in processes:
        process.start()
    values = [result.get() for result in results]
    for process in processes:
        process.join()
    return values


def lock_pairs(start, result, lock, n):
    start.wait()
    began = time.perf_counter_ns()
    for _ in range(n):
        lock.acquire()
        lock.release()
    result.put(time.perf_counter_ns() - began)


def lock_with(start, result, lock, n):
    start.wait()
    began = time.perf_counter_ns()
    for _ in range(n):
        with lock:
            pass
    result.put(time.perf_counter_ns() - began)


def hold(lock, held):
    lock.acquire()
    held.set()
    signal.pause()


def succession(kills, patience):
    """From the SIGKILL of a lock's holder to the next acquisition, in nanoseconds; None if there is none."""
    times = []
    for _ in range(kills):
        lock, held = CONTEXT.Lock(), CONTEXT.Event()
        holder = CONTEXT.Process(target=hold, args=(lock, held))
        holder.start()
        held.wait()
        began = time.perf_counter_ns()
        holder.kill()
        got = lock.acquire(timeout=patience)
        times.append(time.perf_counter_ns() - began if got else None)
        holder.join()
    return times


def produce(start, result, queue, n, size):
    item = b"x" * size
    start.wait()
    for _ in range(n):
        queue.put(item)
    result.put(0)


def consume(start, result, queue, n):
    start.wait()
    began = time.perf_counter_ns()
    for _ in range(n):
        queue.get()
    result.put(time.perf_counter_ns() - began)


def ping(start, result, there, back, n):
    times = []
    start.wait()
    for _ in range(n):
        began = time.perf_counter_ns()
        there.put(b"12345678")
        back.get()
        times.append(time.perf_counter_ns() - began)
    result.put(times)


def pong(start, result, there, back, n):
    start.wait()
    for _ in range(n):
        back.put(there.get())
    result.put(0)


def measure(name, n):
    pairs = {"calls": lock_pairs, "with": lock_with}
    if name.startswith("lock-alone-"):
        [elapsed] = run((pairs[name.split("-")[2]], CONTEXT.Lock(), n))
        return {"per_second": n * 1e9 / elapsed}
    if name.startswith("lock-contended-"):
        lock, work = CONTEXT.Lock(), pairs[name.split("-")[2]]
        elapsed = run((work, lock, n), (work, lock, n))
        return {"per_second": 2 * n * 1e9 / max(elapsed)}
    if name == "succession":
        return {"succession_ns": succession(n, patience=2)}
    if name in ("queue-8", "queue-65536"):
        size = int(name.split("-")[1])
        queue = CONTEXT.Queue(1024)
        _, elapsed = run((produce, queue, n, size), (consume, queue, n))
        return {"per_second": n * 1e9 / elapsed}
    if name == "hand-over":
        there, back = CONTEXT.Queue(), CONTEXT.Queue()
        times, _ = run((ping, there, back, n), (pong, there, back, n))
        return {"round_trips_ns": times}
    raise SystemExit(f"no measurement {name}")


if __name__ == "__main__":
    print(json.dumps(measure(sys.argv[1], int(sys.argv[2]))))
