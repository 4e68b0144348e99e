"""Ray, where tasks run on other processes or machines: connected, left, its errors unwrapped."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from litebert.errors import InputError


def check_ray() -> None:
    """Raise InputError with the extra's name where Ray is not installed."""
    try:
        import ray  # noqa: F401
    except ImportError:
        raise InputError("--engine ray needs pip install 'litebert[ray]'") from None


@contextmanager
def ray_cluster(address: str | None) -> Iterator[Any]:
    """The package `ray`, connected; left at the end. A task's own error is raised as itself.

    `address` as `ray.init` takes it; a cluster of this machine alone when it is None.
    """
    check_ray()
    import ray
    from ray.exceptions import RayTaskError

    local = {} if address else {"include_dashboard": False, "_node_ip_address": "127.0.0.1"}
    ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR, **local)
    try:
        yield ray
    except RayTaskError as error:
        raise error.cause from None
    finally:
        ray.shutdown()
