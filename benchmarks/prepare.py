"""How fast text becomes shards, beside the tokenizers library's own encode_batch, and its memory.

    python benchmarks/prepare.py TOKENIZER FILES ...            MB of text a second, alternating
    python benchmarks/prepare.py --memory TOKENIZER FILES ...   peak memory on ten times the files

Prints one JSON line a case (benchmarks/report.py). A MB is a million bytes of text as UTF-8.
"""

import json
import statistics
import subprocess
import sys
import tempfile
import time
from itertools import chain
from pathlib import Path

import tokenizers

from litebert.text.corpus import read_documents
from litebert.text.prepare import prepare
from litebert.text.tokenizer import load_tokenizer
from report import line

RUNS, REPEATS = 5, 10

MEASURE = """
import json, resource, sys
from litebert.text.corpus import read_documents
from litebert.text.prepare import prepare
from litebert.text.tokenizer import load_tokenizer
tokenizer, output, *files = sys.argv[1:]
prepare(read_documents(files), tokenizer=load_tokenizer(tokenizer), output=output)
print(json.dumps(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss))
"""


def speed(tokenizer: str, files: list[str]) -> None:
    """Files to shards, reading and splitting included, against encoding of lines in memory."""
    documents = list(read_documents(files, segments="lines"))
    lines = list(chain.from_iterable(chain.from_iterable(documents)))
    megabytes = sum(len(text.encode()) for text in lines) / 1e6
    ours, peer = [], []
    for _ in range(RUNS):
        with tempfile.TemporaryDirectory() as folder:
            loaded = load_tokenizer(tokenizer)
            start = time.perf_counter()
            prepare(read_documents(files), tokenizer=loaded, output=Path(folder) / "shards")
            ours.append(megabytes / (time.perf_counter() - start))
            loaded.save(Path(folder) / "tokenizer")
            library = tokenizers.Tokenizer.from_file(f"{folder}/tokenizer/tokenizer.json")
        start = time.perf_counter()
        library.encode_batch(lines, add_special_tokens=False)
        peer.append(megabytes / (time.perf_counter() - start))
    case = f"{megabytes:.1f} MB of text, files to shards; peer: lines in memory, one batch"
    name = f"tokenizers {tokenizers.__version__} encode_batch"
    value = round(statistics.median(peer), 3)
    print(line("prepare", case=case, unit="MB/s", runs=ours, peer=name, peer_value=value))


def memory(tokenizer: str, files: list[str]) -> None:
    """Peak resident memory of a process that prepares all files ten times over."""
    megabytes = (
        REPEATS
        * sum(
            len(text.encode())
            for document in read_documents(files, segments="lines")
            for text in chain.from_iterable(document)
        )
        // 1_000_000
    )
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-c", MEASURE, tokenizer, f"{folder}/shards", *files * REPEATS]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
    peak = json.loads(done.stdout) / 1000
    case = f"peak resident memory, {megabytes} MB of text"
    print(line("prepare", case=case, unit="MB", runs=[peak]))


def main() -> None:
    arguments = sys.argv[1:]
    measure = memory if arguments[:1] == ["--memory"] else speed
    arguments = arguments[1:] if measure is memory else arguments
    if len(arguments) < 2:
        sys.exit("usage: python benchmarks/prepare.py [--memory] TOKENIZER FILES ...")
    measure(arguments[0], arguments[1:])


if __name__ == "__main__":
    main()
