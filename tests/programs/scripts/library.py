"""Walks through the standard library: whatever it computes is the same everywhere."""

import base64
import bisect
import calendar
import csv
import dataclasses
import datetime
import decimal
import difflib
import fractions
import hashlib
import heapq
import io
import itertools
import math
import pprint
import random
import statistics
import string
import struct
import textwrap
import zlib


@dataclasses.dataclass(order=True)
class Point:
    x: int
    y: float = 0.5


random.seed(20)
points = [Point(random.randrange(9), round(random.random(), 6)) for _ in range(6)]
pprint.pprint(sorted(points))
print(hashlib.sha256(b"wasm" * 1000).hexdigest(), zlib.crc32(b"wasm"), zlib.adler32(b"wasm"))
print(base64.b85encode(zlib.compress(string.printable.encode() * 50, 9)).decode())
decimal.getcontext().prec = 60
print(decimal.Decimal(2).sqrt(), fractions.Fraction(355, 113).limit_denominator(50))
print(calendar.month(2024, 2), datetime.date(2024, 2, 29) + datetime.timedelta(366))
print(struct.pack("<dIq", math.pi, 7, -1).hex(), math.gamma(10.5), float.hex(0.1), 1e22, 2.0**-1074)
print(statistics.quantiles([1, 5, 2, 8, 7], n=5), heapq.nsmallest(3, [5, 1, 4, 2]), bisect.bisect([1, 3], 2))
rows = io.StringIO()
csv.writer(rows).writerows(itertools.permutations(["a,b", 'c"d', "é\n"], 2))
print(rows.getvalue())
print("\n".join(difflib.unified_diff("one two three".split(), "one too three four".split(), lineterm="")))
print(textwrap.fill("the quick brown fox jumps over the lazy dog " * 5, 40))
print(math.factorial(300))
try:
    [].pop()
except IndexError as error:
    print(type(error).__name__, error)
