"""The tasks of examples/squares in Python: each method of `WitWorld` is what `wit/plugin.wit` exports."""

import json
from typing import Optional

import wit_world
from componentize_py_types import Err
from wit_world import Summary
from wit_world.imports import context, log, objects


class WitWorld(wit_world.WitWorld):
    def square(self, n: int) -> int:
        # A number that does not fit into 64 bits is an exception when it leaves, and so a trap.
        return n * n

    def divide(self, a: int, b: int) -> int:
        # `raise Err(text)` is the error of a WIT `result`: the task fails with the text.
        if b == 0:
            raise Err(f"cannot divide {a} by zero")
        quotient = abs(a) // abs(b) * (1 if (a < 0) == (b < 0) else -1)
        if quotient == 2**63:
            raise Err(f"{a} divided by {b} does not fit into 64 bits")
        return quotient

    def greet(self, name: str) -> str:
        log.record(log.Level.INFO, "squares", f"greeting {name}")
        return f"{context.name()} says hello to {name}"

    def summarize(self, numbers: list[int]) -> Optional[Summary]:
        if not numbers:
            return None
        return Summary(min(numbers), max(numbers), sum(numbers) / len(numbers))

    def deliver(self, queue: str, lock: str, words: list[str]) -> int:
        try:
            # `with` drops a handle when it is left, and with its last handle the task gives up the lock.
            with objects.Queue.open(queue) as jobs, objects.Lock.open(lock) as turn:
                turn.acquire(None)
                for word in words:
                    jobs.put(json.dumps(word).encode(), None)
                return len(words)
        except Err as error:
            raise Err(getattr(error.value, "value", type(error.value).__name__))
