"""Prepares a corpus in parts, in any processes on any machines, and gives the same bytes.

A part is some files in turn, and the files of a part depend on nothing but the sizes of all. Each
part is prepared as a corpus of its own inside the output directory, and joined to the others by
renaming its shards.
"""

import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

from litebert.ray_cluster import check_ray, ray_cluster
from litebert.text.corpus import Segments, read_documents
from litebert.text.prepare import prepare_into
from litebert.text.shard_writer import SHARD_BYTES, ShardWriter, claim_directory, write_index
from litebert.text.shards import INDEX, Shards
from litebert.text.tokenizer import Tokenizer, load_tokenizer

# Bytes of files on disk after which a part ends: a minute or less of work, and a shard or more.
PART_BYTES = 64 << 20


@dataclass(frozen=True, kw_only=True)
class Part:
    """One part, with all that another machine needs to prepare it."""

    sources: tuple[str, ...]
    tokenizer: Path
    output: Path
    shard_bytes: int
    segments: Segments
    text_column: str


Engine = Callable[[Sequence[Part]], Iterable[int]]
"""Prepares all parts, in any order, yielding the characters of each as it is done."""


def prepare_files(
    sources: Sequence[str],
    *,
    tokenizer: Tokenizer,
    output: Path,
    engine: Engine,
    shard_bytes: int = SHARD_BYTES,
    segments: Segments = "sentences",
    text_column: str = "text",
    on_part: Callable[[int, int, int], None] = lambda done, parts, characters: None,
) -> Shards:
    """Prepare files and hub data sets into a directory of shards, part by part on an engine.

    `on_part` gets the parts that are done, how many there are, and the characters of the newest.
    Raises InputError for whatever is wrong with a source; the directory is then empty again.
    """
    claim_directory(output)
    work = output.resolve() / ".parts"
    try:
        tokenizer.save(work / "tokenizer")
        parts = [
            Part(
                sources=files,
                tokenizer=work / "tokenizer",
                output=work / f"{number:05d}",
                shard_bytes=shard_bytes,
                segments=segments,
                text_column=text_column,
            )
            for number, files in enumerate(divide(sources))
        ]
        for done, characters in enumerate(engine(parts), 1):
            on_part(done, len(parts), characters)
        _join(parts, tokenizer=tokenizer, output=output)
    except BaseException:
        for path in output.iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        raise
    return Shards.open(output)


def divide(sources: Sequence[str]) -> list[tuple[str, ...]]:
    """The sources of each part, in order; a data set of the hub is a part of its own."""
    parts: list[tuple[str, ...]] = []
    files: list[str] = []
    held = 0
    for source in sources:
        remote = source.startswith("hf:")
        if files and (remote or held >= PART_BYTES):
            parts.append(tuple(files))
            files, held = [], 0
        files.append(source)
        # a missing file is named by the part that reads it
        held += PART_BYTES if remote else os.path.getsize(source) if os.path.isfile(source) else 0
    return [*parts, tuple(files)] if files else parts


def prepare_part(part: Part, on_read: Callable[[int], None] = lambda read: None) -> int:
    """Prepare one part in its own directory; returns its characters."""
    characters = 0

    def on_text(number: int) -> None:
        nonlocal characters
        characters += number

    tokenizer = load_tokenizer(part.tokenizer)
    writer = ShardWriter(part.output, tokenizer=tokenizer, shard_bytes=part.shard_bytes)
    documents = read_documents(
        part.sources, segments=part.segments, text_column=part.text_column, on_read=on_read
    )
    prepare_into(writer, documents, tokenizer=tokenizer, on_text=on_text)
    writer.close(may_be_empty=True)
    return characters


def one_by_one(on_read: Callable[[int], None] = lambda read: None) -> Engine:
    """Parts in turn, in this process; `on_read` gets the bytes taken from the disk."""
    return lambda parts: (prepare_part(part, on_read) for part in parts)


def processes(count: int) -> Engine:
    """Parts by several processes of this machine."""

    def run(parts: Sequence[Part]) -> Iterator[int]:
        with ProcessPoolExecutor(count, mp_context=get_context("spawn")) as pool:
            futures = [pool.submit(prepare_part, part) for part in parts]
            try:
                for future in as_completed(futures):
                    yield future.result()
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise

    return run


def on_ray(address: str | None) -> Engine:
    """Parts as tasks of a Ray cluster whose machines see the files and the output directory.

    `address` as `ray.init` takes it; a cluster of this machine alone when it is None. Raises
    InputError where Ray is not installed.
    """
    check_ray()

    def run(parts: Sequence[Part]) -> Iterator[int]:
        with ray_cluster(address) as ray:
            task = ray.remote(num_cpus=1)(prepare_part)
            pending = [task.remote(part) for part in parts]
            while pending:
                done, pending = ray.wait(pending)
                yield ray.get(done[0])

    return run


def _join(parts: Sequence[Part], *, tokenizer: Tokenizer, output: Path) -> None:
    entries, dropped = [], {"dropped_segments": 0, "dropped_documents": 0}
    for part in parts:
        index = json.loads((part.output / INDEX).read_bytes())
        for entry in index["shards"]:
            name = f"shard-{len(entries):05d}.safetensors"
            (part.output / entry["file"]).rename(output / name)
            entries.append({**entry, "file": name})
        for key in dropped:
            dropped[key] += index[key]
    shutil.rmtree(output / ".parts")
    write_index(output, tokenizer=tokenizer, entries=entries, dropped=dropped)
