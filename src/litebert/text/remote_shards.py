"""Prepared corpora on object storage: copied once to the local disk, where they are memory-mapped.

Training reads windows in random order, a kilobyte at a time, which no object storage serves in
time; so the shards of a URL are copied as a whole, once for all processes of a machine.
"""

import hashlib
import os
from pathlib import Path

from filelock import FileLock

from litebert.errors import InputError
from litebert.manifest import seal
from litebert.remote import RemoteDirectory, is_remote
from litebert.text.shards import INDEX


def local_shards(location: str | Path) -> Path:
    """The directory of a prepared corpus: a path as it is, a URL as its copy in the cache.

    The cache is $LITEBERT_CACHE, or litebert in the user's cache directory; a copy's name is the
    hash of its index, so a corpus that was prepared anew is copied anew. Raises InputError when
    there is no complete corpus at the URL or what arrives has other hashes.
    """
    if not is_remote(location):
        return Path(location)
    remote = RemoteDirectory(str(location))
    index = remote.manifest(INDEX)
    if index is None:
        raise InputError(f"{location}: no prepared corpus (no {INDEX}); run 'litebert prepare'")
    hashes = {entry["file"]: entry["sha256"] for entry in index["shards"]}
    tokenizer = {f"tokenizer/{name}": value for name, value in index["tokenizer_files"].items()}
    target = _cache() / "shards" / hashlib.sha256(seal(index)).hexdigest()[:16]
    target.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{target}.lock"):
        if not (target / INDEX).is_file():
            remote.fetch(target, hashes=hashes | tokenizer, manifest=INDEX)
    return target


def _cache() -> Path:
    if found := os.environ.get("LITEBERT_CACHE"):
        return Path(found)
    return Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "litebert"
