"""The library of the native pass: found, built, built again, or done without."""

import os
import warnings
from pathlib import Path

import pytest

from litebert.infer.native import library as native
from litebert.infer.native.build import build, is_whole, library_name

pytestmark = pytest.mark.skipif(
    native.native_library() is None, reason="no native pass for this processor"
)


def own_library() -> Path:
    found = native.native_library()
    assert found is not None
    return Path(found._name)


def test_without_a_compiler_pytorch_answers_and_it_is_said(monkeypatch, tmp_path):
    monkeypatch.setattr(native, "SOURCES", tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.warns(UserWarning, match="no C\\+\\+ compiler: no-such-compiler"):
        assert native.native_library.__wrapped__() is None
    monkeypatch.setenv("CXX", "false")
    with pytest.warns(UserWarning, match="false failed"):
        assert native.native_library.__wrapped__() is None
    monkeypatch.setenv("CXX", "c++ '")
    with pytest.warns(UserWarning, match="CXX=.* is no command: No closing quotation"):
        assert native.native_library.__wrapped__() is None
    monkeypatch.setattr(native, "variants_of_processor", list)
    assert native.native_library.__wrapped__() is None


@pytest.mark.parametrize("able", [("avx2",), ()])
def test_what_does_not_build_leaves_the_others(monkeypatch, tmp_path, able):
    own = native.variants_of_processor()
    if len(own) == 1:
        pytest.skip("this processor runs one variant")
    tried = []

    def compile_some(variant, place):
        tried.append(variant)
        if variant not in able:
            raise RuntimeError(f"c++ failed: {variant}")
        return own_library()

    monkeypatch.setattr(native, "SOURCES", tmp_path / "package")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(native, "build", compile_some)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        found = native.native_library.__wrapped__()
    assert (found is not None) == bool(able)
    assert ["c++ failed: avx2" in str(each.message) for each in said] == [True] * (not able)
    # the best one first, and in neither place
    assert tried == ["avx512", "avx512", "avx2", "avx2"][: 3 if able else 4]


def test_a_library_that_was_cut_off_is_built_again(monkeypatch, tmp_path):
    whole, built = own_library().read_bytes(), []

    def build_again(variant, directory):
        built.append(directory)
        place = directory / "new" / library_name(variant)
        place.parent.mkdir()
        place.write_bytes(whole)
        return place

    monkeypatch.setattr(native, "build", build_again)
    pieces = [whole[: len(whole) // 2], whole[:-1], whole[:10], b"", whole]
    # what a power cut leaves too: the size is right, and pages are empty
    pieces.append(whole[:9000] + bytes(len(whole) - 9000))
    for number, content in enumerate(pieces):
        place = tmp_path / str(number)
        place.mkdir()
        (place / library_name("avx2")).write_bytes(content)
        assert native._found_or_built("avx2", place).litebert_panel() in (32, 64)
        assert (place in built) == (content != whole)


def test_a_library_is_on_disk_before_it_has_its_name(monkeypatch, tmp_path):
    compiler = tmp_path / "compiler"
    compiler.write_text('#!/bin/sh\nfor last; do :; done\nprintf code > "$last"\n')
    compiler.chmod(0o755)
    synced, rename = [], os.replace

    def replace(source, target):
        assert synced == [os.stat(source).st_ino]
        assert is_whole(Path(source))
        rename(source, target)

    monkeypatch.setenv("CXX", str(compiler))
    monkeypatch.setattr(os, "fsync", lambda file: synced.append(os.fstat(file).st_ino))
    monkeypatch.setattr(os, "replace", replace)
    made = build("avx2", tmp_path)
    assert made.name == library_name("avx2")
    assert made.read_bytes().startswith(b"code")
