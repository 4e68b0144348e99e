"""Runs the cells of a study: as processes of this machine, or as tasks of a Ray cluster.

A cell is done in a process of its own, so that one which fails or is killed takes no other along.
"""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch

from litebert.errors import InputError
from litebert.ray_cluster import ray_cluster
from litebert.study.cell import Cell, describe_cell, read_result, take_result
from litebert.study.run_cell import run_cell

OnDone = Callable[[Cell, dict[str, Any]], None]


def run_cells(
    study: Path,
    cells: Sequence[Cell],
    *,
    engine: str,
    parallel: int,
    threads: int,
    reuse: Sequence[Path] = (),
    on_done: OnDone = lambda cell, result: None,
) -> None:
    """Do all cells that are not done, those that others start from first.

    `parallel` many at once on this machine, `threads` each; a Ray cluster decides by itself.
    Results of the same runs are taken from the studies in `reuse`.
    Raises InputError when a cell fails; those that were running save a checkpoint and end.
    """
    chained = {cell.starts_from for cell in cells}
    for cell in cells:
        describe_cell(study, cell)
        # what others start from must have a model here
        if cell.starts_from is None and cell.name not in chained:
            take_result(study, cell, reuse)
    left = []
    for cell in cells:
        result = read_result(study, cell.name)
        if result is None:
            left.append(cell)
        else:
            on_done(cell, result)
    if engine == "local":
        _as_processes(study, left, parallel=parallel, threads=threads, on_done=on_done)
        return
    for wave in waves(left):
        _on_ray(study, wave, threads=threads, on_done=on_done)


def waves(cells: Sequence[Cell]) -> Iterator[list[Cell]]:
    """Cells in groups, each after those that its members start from."""
    left = list(cells)
    while left:
        ready = _ready(left, unfinished={cell.name for cell in left})
        assert ready, "cells start from each other"
        yield ready
        left = [cell for cell in left if cell not in ready]


def _ready(cells: Sequence[Cell], *, unfinished: Collection[str]) -> list[Cell]:
    """Those that start from nothing, or from what is finished."""
    return [cell for cell in cells if cell.starts_from not in unfinished]


def _as_processes(
    study: Path, cells: Sequence[Cell], *, parallel: int, threads: int, on_done: OnDone
) -> None:
    waiting, running, gpus = list(cells), {}, torch.cuda.device_count()
    free = list(range(parallel))
    try:
        while waiting or running:
            unfinished = {cell.name for cell in waiting} | set(running)
            for cell in _ready(waiting, unfinished=unfinished)[: len(free)]:
                slot = free.pop(0)
                waiting.remove(cell)
                environment = os.environ | {"OMP_NUM_THREADS": str(threads)}
                if gpus:
                    environment["CUDA_VISIBLE_DEVICES"] = str(slot % gpus)
                log = study / "cells" / cell.name / "log.txt"
                with log.open("ab") as file:
                    command = [sys.executable, "-m", "litebert.study.run_cell"]
                    running[cell.name] = (
                        cell,
                        slot,
                        subprocess.Popen(
                            [*command, str(study), cell.name],
                            stdout=file,
                            stderr=file,
                            env=environment,
                            # -m finds modules in its directory first, whatever lies there
                            cwd=study,
                        ),
                    )
            time.sleep(0.05)
            for name, (cell, slot, process) in list(running.items()):
                if process.poll() is None:
                    continue
                del running[name]
                free.append(slot)
                result = read_result(study, name)
                if result is None:
                    raise InputError(
                        f"cell {name} ended with code {process.returncode}: see "
                        f"{study / 'cells' / name / 'log.txt'}; the same command goes on from there"
                    )
                on_done(cell, result)
    finally:
        # also on Ctrl-C: every cell saves a checkpoint and ends
        for _, _, process in running.values():
            process.terminate()
        for _, _, process in running.values():
            process.wait()


def _on_ray(study: Path, cells: Sequence[Cell], *, threads: int, on_done: OnDone) -> None:
    with ray_cluster(os.environ.get("RAY_ADDRESS")) as ray:
        gpus = 1 if ray.cluster_resources().get("GPU") else 0
        most = max(node["Resources"].get("CPU", 0) for node in ray.nodes() if node["Alive"])
        if most < threads:
            raise InputError(
                f"a run of this scale wants {threads} CPUs, the largest node has {most:g}"
            )
        task = ray.remote(num_cpus=threads, num_gpus=gpus, max_retries=3)(_with_threads)
        tasks = {task.remote(study, cell.name, threads): cell for cell in cells}
        while tasks:
            (ready,), _ = ray.wait(list(tasks), num_returns=1)
            cell, result = tasks.pop(ready), ray.get(ready)
            if result is None:
                raise InputError(
                    f"cell {cell.name} was stopped: the same command goes on from there"
                )
            on_done(cell, result)


def _with_threads(study: Path, name: str, threads: int) -> dict[str, Any] | None:
    torch.set_num_threads(threads)
    return run_cell(study, name)
