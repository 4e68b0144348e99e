"""`litebert prepare`: text into shards of token ids; with --verify it checks them."""

import json
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Literal

import tyro
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from litebert.errors import InputError
from litebert.remote import RemoteDirectory, is_remote
from litebert.text.corpus import Segments, disk_bytes
from litebert.text.parts import on_ray, one_by_one, prepare_files, processes
from litebert.text.shards import COUNTS, INDEX, Shards, verify
from litebert.text.tokenizer import load_tokenizer


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What to prepare, or what to verify."""

    files: Annotated[tuple[str, ...], tyro.conf.Positional, tyro.conf.arg(metavar="FILES ...")] = ()
    """Text (blank line between documents), JSONL or Parquet, plain or .gz or .zst, or
    hf:name[:config][:split]."""
    tokenizer: str | None = None
    """Directory, tokenizer.json, SentencePiece .model, vocab.txt or hub id."""
    output: str | None = None
    """Directory of the shards, new or empty; or a URL (s3://..., gs://...) that they are copied to
    when they are complete."""
    verify: Path | None = None
    """Check every byte of this prepared corpus, and do nothing else."""
    segments: Segments = "sentences"
    """What order pairs are built from: sentences of each line, or whole lines."""
    text_column: str = "text"
    """Column of JSONL, Parquet and data sets that holds the text."""
    shard_mib: int = 64
    """MiB of token ids after which a shard ends at the next end of a document."""
    workers: int = 1
    """Processes that prepare parts of 64 MiB of files each; the shards are the same."""
    engine: Literal["local", "ray"] = "local"
    """local: processes of this machine. ray: tasks of a Ray cluster whose machines see FILES and
    --output."""
    address: str | None = None
    """Address of the Ray cluster; one of this machine alone when left out."""
    json: bool = False
    """Print one JSON object to standard output."""


def main(argv: list[str]) -> int:
    """Prepare or verify; raises InputError for anything wrong with files or settings."""
    settings = tyro.cli(
        Settings,
        args=argv,
        prog="litebert prepare",
        description="Turn text into shards of token ids, ready for pretraining.",
    )
    start = time.perf_counter()
    if settings.verify is not None:
        if settings.files or settings.tokenizer or settings.output:
            raise InputError("--verify DIR stands alone; leave files, --tokenizer, --output out")
        shards, read = verify(settings.verify), {}
    else:
        shards, read = _prepare_for(settings)
    seconds = time.perf_counter() - start
    counts = {count: shards.index[count] for count in COUNTS}
    if settings.json:
        path = settings.output or str(shards.path)
        result = {"path": path, "shards": len(shards.shards), **counts, **read}
        result |= {key: shards.index[key] for key in ("dropped_segments", "dropped_documents")}
        print(json.dumps(result | {"seconds": round(seconds, 2)}))
    else:
        done = "prepared" if settings.verify is None else "every byte is as written"
        listed = ", ".join(f"{number:,} {count}" for count, number in counts.items())
        print(f"{settings.output or shards.path}: {done} in {seconds:.1f} s: {listed}")
    return 0


def _prepare_for(settings: Settings) -> tuple[Shards, dict[str, int]]:
    """Prepare here, or in a temporary directory for object storage."""
    if settings.output is None or not is_remote(settings.output):
        return _prepare(settings)
    if settings.address:
        raise InputError("--address needs an --output directory that all machines see, not a URL")
    remote = RemoteDirectory(settings.output)
    if remote.names():
        raise InputError(f"{settings.output}: exists and is not empty; give a new URL")
    with tempfile.TemporaryDirectory() as place:
        shards, read = _prepare(replace(settings, output=place))
        remote.put(shards.path, manifest=INDEX)
        return shards, read


def _prepare(settings: Settings) -> tuple[Shards, dict[str, int]]:
    for name in ("files", "tokenizer", "output"):
        if not getattr(settings, name):
            raise InputError(
                f"no {name}: litebert prepare FILES --tokenizer DIR --output DIR, "
                "or litebert prepare --verify DIR"
            )
    assert settings.tokenizer is not None
    assert settings.output is not None
    for name in ("shard_mib", "workers"):
        if getattr(settings, name) < 1:
            raise InputError(f"{name}={getattr(settings, name)} must be at least 1")
    tokenizer = load_tokenizer(settings.tokenizer)
    console = Console(stderr=True)
    columns = (
        TextColumn("preparing"),
        BarColumn(bar_width=24),
        TaskProgressColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[rate]}"),
    )
    characters = 0
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        task = progress.add_task("", total=None, rate="")
        start = time.perf_counter()
        one_by_one_total = disk_bytes(settings.files)

        def on_read(read: int) -> None:
            progress.update(task, total=one_by_one_total, advance=read)
            rate = progress.tasks[0].completed / (time.perf_counter() - start) / 1e6
            progress.update(task, rate=f"{rate:.1f} MB of files a second")

        def on_part(done: int, parts: int, found: int) -> None:
            nonlocal characters
            characters += found
            rate = characters / (time.perf_counter() - start) / 1e6
            said = f"{rate:.1f} MB/s of text, {characters / 1e6:,.0f} MB"
            if alone:
                progress.update(task, rate=said)
            else:
                progress.update(task, total=parts, completed=done, rate=said)

        alone = settings.engine == "local" and settings.workers == 1
        if settings.engine == "ray":
            engine = on_ray(settings.address)
        else:
            engine = one_by_one(on_read) if alone else processes(settings.workers)
        shards = prepare_files(
            settings.files,
            tokenizer=tokenizer,
            output=Path(settings.output),
            engine=engine,
            shard_bytes=settings.shard_mib << 20,
            segments=settings.segments,
            text_column=settings.text_column,
            on_part=on_part,
        )
    return shards, {"characters": characters}
