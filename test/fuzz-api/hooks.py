"""What Schemathesis is told of this API: ids, numbers and names that exist, of the caller's tenant and of another's.

Random ids lead nowhere: half of the requests get one that exists, so that what is behind them is reached too. Which half
follows from the generated value, and a run can be repeated.
"""

import json
import os
import zlib

import schemathesis

with open(os.environ["FUZZ_API_SEEDS"], encoding="utf-8") as seeds:
    SEEDS = json.load(seeds)


def known(name, value, values):
    """One of `values` for half of all values."""
    digest = zlib.crc32(f"{name}={value!r}".encode("utf-8", "surrogatepass"))
    return values[(digest >> 1) % len(values)] if digest % 2 and values else value


@schemathesis.hook
def map_path_parameters(context, path_parameters):
    if not path_parameters or "id" not in path_parameters:
        return path_parameters
    kind = "calls" if context.operation.path.startswith("/calls") else "recordings"
    return {**path_parameters, "id": known("id", path_parameters["id"], SEEDS[kind])}


@schemathesis.hook
def map_query(context, query):
    if not query:
        return query
    return {name: known(name, value, SEEDS["query"].get(name)) for name, value in query.items()}
