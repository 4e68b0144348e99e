"""Sealed directories on object storage, through fsspec: any URL that it knows (s3://, gs://, ...).

A directory there is complete when its manifest is, which is written last and read first. Whatever
is fetched is checked against the hashes of the manifest before it gets its name on the local disk.
"""

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec

from litebert.errors import InputError
from litebert.files import sync_directory
from litebert.manifest import find_fault, unseal


def is_remote(location: str | Path) -> bool:
    """Whether a location is a URL and not a path."""
    return "://" in str(location)


class RemoteDirectory:
    """A directory at a URL. Raises InputError, naming the URL, for whatever goes wrong there."""

    def __init__(self, url: str):
        self.url = url.rstrip("/")
        with self._named():
            self.system, self.path = fsspec.core.url_to_fs(self.url)

    def __truediv__(self, name: str) -> "RemoteDirectory":
        return RemoteDirectory(f"{self.url}/{name}")

    def names(self) -> list[str]:
        """Names of the files and directories in it, in order; none when it is not there."""
        with self._named():
            if not self.system.exists(self.path):
                return []
            return sorted(
                found.rstrip("/").rpartition("/")[2]
                for found in self.system.ls(self.path, detail=False)
            )

    def read(self, name: str) -> bytes | None:
        """The content of a file, None when it is not there."""
        with self._named(), contextlib.suppress(FileNotFoundError):
            return self.system.cat_file(f"{self.path}/{name}")
        return None

    def write(self, name: str, content: bytes) -> None:
        """Write a small file."""
        with self._named():
            self.system.makedirs(self.path, exist_ok=True)
            self.system.pipe_file(f"{self.path}/{name}", content)

    def delete(self) -> None:
        """Delete it with all that is in it, its manifest first of all."""
        with self._named():
            for name in self.names():
                if name.endswith(".json"):
                    self.system.rm(f"{self.path}/{name}")
            self.system.rm(self.path, recursive=True)

    def put(self, directory: Path, *, manifest: str) -> None:
        """Copy a local directory there, its manifest last."""
        files = [path for path in sorted(directory.rglob("*")) if path.is_file()]
        files.sort(key=lambda path: path == directory / manifest)
        with self._named():
            for path in files:
                target = f"{self.path}/{path.relative_to(directory).as_posix()}"
                self.system.makedirs(target.rpartition("/")[0], exist_ok=True)
                self.system.put_file(str(path), target)

    def manifest(self, name: str) -> dict[str, Any] | None:
        """What the manifest says; None when there is none."""
        content = self.read(name)
        if content is None:
            return None
        try:
            return unseal(content)
        except ValueError as error:
            raise InputError(f"{self.url}/{name}: damaged ({error})") from None

    def fetch(self, target: Path, *, hashes: dict[str, str], manifest: str) -> None:
        """Copy files here, check their hashes, and only then give the directory its name."""
        temporary = target.with_name(f".{target.name}.part")
        shutil.rmtree(temporary, ignore_errors=True)
        try:
            for name in (*hashes, manifest):
                (temporary / name).parent.mkdir(parents=True, exist_ok=True)
                with self._named():
                    self.system.get_file(f"{self.path}/{name}", str(temporary / name))
            if fault := find_fault(temporary, hashes):
                raise InputError(f"{self.url} was not copied as it was written: {fault}")
            os.rename(temporary, target)
            sync_directory(target.parent)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)

    @contextlib.contextmanager
    def _named(self) -> Iterator[None]:
        try:
            yield
        except (InputError, FileNotFoundError):
            raise
        except Exception as error:  # every storage has errors of its own
            reason = " ".join(str(error).split()) or type(error).__name__
            raise InputError(f"{self.url}: {reason}") from None
