"""Which implementation runs a call: the fastest that can, unless one is forced."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import torch
from torch import nn

from longspan.cells import ScanResult
from longspan.errors import InputError, unknown_name
from longspan.kernels.call import Call, Implementation
from longspan.kernels.reference import Reference
from longspan.kernels.vectorised import Native
from longspan.kernels.vendor import Vendor

#: Fastest first; the last runs everything.
IMPLEMENTATIONS: dict[str, Implementation] = {
    "native": Native(),
    "vendor": Vendor(),
    "reference": Reference(),
}

_trace: ContextVar[list[str] | None] = ContextVar("longspan_trace", default=None)
_forced: ContextVar[str | None] = ContextVar("longspan_kernel", default=None)
#: Sees, and may change, every call before it runs.
Handler = Callable[[Call], ScanResult]
_handler: ContextVar[Handler | None] = ContextVar("longspan_handler", default=None)


@contextmanager
def force(name: str) -> Iterator[None]:
    """Run everything inside by one implementation; a call that it cannot run is an error.

    The environment variable ``LONGSPAN_KERNEL`` does the same for a whole process. Graphs of
    ``torch.compile`` cannot hold the choice and take no notice.

    Args:
        name: A key of `IMPLEMENTATIONS`.

    Raises:
        InputError: If there is no such implementation.
    """
    _check(name)
    token = _forced.set(name)
    try:
        yield
    finally:
        _forced.reset(token)


@contextmanager
def intercept(handler: Handler) -> Iterator[None]:
    """Pass every call inside to a handler, which returns the result.

    The handler may change the call (``call._replace(…)``) and pass it on by `run`, which then goes
    to the handler around this one, if there is one. Graphs that ``torch.compile`` made earlier hold
    no calls.

    Args:
        handler: From a call to its result.
    """
    outer = _handler.get()

    def handle(call: Call) -> ScanResult:
        token = _handler.set(outer)
        try:
            return handler(call)
        finally:
            _handler.reset(token)

    token = _handler.set(handle)
    try:
        yield
    finally:
        _handler.reset(token)


def choose(call: Call) -> tuple[str, dict[str, str]]:
    """Return the implementation for a call, and why each faster one declined.

    Raises:
        InputError: If an implementation is forced that does not exist or cannot run the call.
    """
    forced = _forced.get() or _named_outside()
    if forced:
        _check(forced)
        reason = IMPLEMENTATIONS[forced].why_not(call)
        if reason:
            raise InputError(
                f"The {forced!r} kernel is forced, but {reason}. Do not force it, or use "
                "'reference', which runs everything."
            )
        return forced, {}
    declined: dict[str, str] = {}
    for name, implementation in IMPLEMENTATIONS.items():
        reason = implementation.why_not(call)
        if reason is None:
            return name, declined
        declined[name] = reason
    raise AssertionError("the reference runs everything")


def run(call: Call) -> ScanResult:
    """Run one layer in one direction by the implementation that `choose` names."""
    if torch.compiler.is_compiling():  # a graph cannot hold the choice, so only the best is tried
        native = IMPLEMENTATIONS["native"]
        if native.why_not(call) is None:
            return native.run(call)
    handler = _handler.get()
    if handler is not None:
        return handler(call)
    name, declined = choose(call)
    trace = _trace.get()
    if trace is not None:
        reasons = "; ".join(f"not {other}: {reason}" for other, reason in declined.items())
        trace.append(f"{call.label}: {name}" + (f" ({reasons})" if reasons else ""))
    return IMPLEMENTATIONS[name].run(call)


def unobserved() -> bool:
    """Return whether nothing inspects, changes or forces the calls that run now."""
    return not (_forced.get() or _handler.get() or _trace.get() is not None or _named_outside())


def explain(module: nn.Module, *args: Any, **kwargs: Any) -> str:
    """Return one line for each recurrent layer: what runs it, and why nothing faster does.

    The module is run once, without gradients; its buffers and the random numbers to come stay as
    they were.

    >>> import torch, longspan
    >>> lstm = longspan.nn.LSTM(3, 5)
    >>> print(explain(lstm, torch.zeros(7, 2, 3)))
    layer 0: native
    >>> print(explain(lstm.double(), torch.zeros(7, 2, 3).double()))
    layer 0: vendor (not native: the dtype is torch.float64, not float32 or bfloat16)

    Args:
        module: A ``longspan.nn`` layer, or any module that holds some.
        args: What the module is called with.
        kwargs: What the module is called with.
    """
    lines: list[str] = []
    buffers = [(buffer, buffer.clone()) for buffer in module.buffers()]
    token = _trace.set(lines)
    try:
        with torch.no_grad(), torch.random.fork_rng():
            module(*args, **kwargs)
    finally:
        _trace.reset(token)
        for buffer, before in buffers:
            buffer.copy_(before)
    return "\n".join(lines)


def _named_outside() -> str | None:
    return os.environ.get("LONGSPAN_KERNEL")


def _check(name: str) -> None:
    if name not in IMPLEMENTATIONS:
        raise InputError(unknown_name("kernel", name, IMPLEMENTATIONS))
