"""Starts one process for each device of this machine through torchrun's own launcher.

Rendezvous, restarts and the end of all when one fails are torch.distributed's; over several
machines one calls torchrun itself, with `-m litebert pretrain ...`.
"""

import logging
import os
import sys

import torch

from litebert.errors import InputError


def launch(argv: list[str], *, devices: int, restarts: int) -> int:
    """Run `litebert ARGV` as `devices` ranks; returns the exit code of the first that failed, or 0.

    A lost rank restarts all of them, up to `restarts` times, from the newest checkpoint.
    Raises InputError when the machine has fewer GPUs.
    """
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    if torch.cuda.is_available() and torch.cuda.device_count() < devices:
        raise InputError(
            f"devices={devices} and this machine has {torch.cuda.device_count()} GPUs: give fewer, "
            f"or device=cpu"
        )
    # ranks on one machine share its cores
    threads = max(1, (os.cpu_count() or 1) // devices)
    os.environ.setdefault("OMP_NUM_THREADS", str(threads))
    # every rank has said in one line what is wrong; the launcher would repeat it as a table
    logging.getLogger("torch.distributed.elastic").setLevel(logging.CRITICAL)
    config = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=devices,
        run_id="litebert",
        rdzv_backend="c10d",
        rdzv_endpoint="127.0.0.1:0",
        local_addr="127.0.0.1",
        max_restarts=restarts,
        monitor_interval=0.2,
    )
    try:
        elastic_launch(config, sys.executable)("-m", "litebert", *argv)
    except ChildFailedError as error:
        codes = [failure.exitcode for failure in error.failures.values()]
        return next((code for code in codes if code > 0), 1)
    except SignalException as error:
        return 128 + error.sigval
    return 0
