"""The same work in Python's multiprocessing. Prints one JSON object: `python3 peers.py MEASUREMENT N`.

Each figure is taken as the benchmark takes its own: inside the processes that do the work, from the moment
when all of them are ready, for N repetitions.
"""

import concurrent.futures
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


def double(n):
    return 2 * n


def echo(data):
    return data


def rate(seconds, n):
    return {"times_ns": [seconds * 1e9 / n]}


def in_pool(n, chunksize, **settings):
    """Nanoseconds for each of n tasks in a pool of two."""
    with CONTEXT.Pool(2, **settings) as pool:
        pool.map(double, range(4), chunksize=1)
        began = time.perf_counter()
        assert sum(pool.map(double, range(n), chunksize=chunksize)) == n * (n - 1)
        return rate(time.perf_counter() - began, n)


def in_executor(n):
    with concurrent.futures.ProcessPoolExecutor(2, mp_context=CONTEXT) as executor:
        list(executor.map(double, range(4)))
        began = time.perf_counter()
        assert sum(executor.map(double, range(n))) == n * (n - 1)
        return rate(time.perf_counter() - began, n)


def applied(n, argument, function):
    """How long each of n calls took, one after the other."""
    times = []
    with CONTEXT.Pool(1) as pool:
        pool.apply(function, (argument,))
        for _ in range(n):
            began = time.perf_counter_ns()
            pool.apply(function, (argument,))
            times.append(time.perf_counter_ns() - began)
    return {"times_ns": times}


def joined(n):
    times = []
    for _ in range(n):
        process = CONTEXT.Process(target=double, args=(1,))
        began = time.perf_counter_ns()
        process.start()
        process.join()
        times.append(time.perf_counter_ns() - began)
    return {"times_ns": times}


def measure(name, n):
    if name == "pool-fresh":
        return in_pool(n, chunksize=1, maxtasksperchild=1)
    if name == "pool-reused":
        return in_pool(n, chunksize=1)
    if name == "pool-chunks":
        return in_pool(n, chunksize=10_000)
    if name == "executor":
        return in_executor(n)
    if name == "apply":
        return applied(n, 1, double)
    if name == "echo":
        return applied(n, b"x" * (64 << 20), echo)
    if name == "process":
        return joined(n)
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
