"""Fails three calls deep, with a cause."""

import json


def read(text):
    try:
        return json.loads(text)
    except ValueError as error:
        raise RuntimeError(f"«{text}» is no JSON") from error


print("before", flush=True)
read("{'single': 1}")
