"""The one training loop: batches → forward → loss → backward → clip → step → log → checkpoint.

It knows a model, batches and a loss, never a task. Truncated backpropagation through time is part
of it: a loss may return a state, which is detached and handed to the next step.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from itertools import islice, takewhile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from longspan.errors import InputError, TrainingDivergedError
from longspan.files import check_place
from longspan.training.batches import Batches, Share
from longspan.training.checkpoint import read_checkpoint, write_checkpoint
from longspan.training.distributed import World, world
from longspan.training.flow import FlowMeter
from longspan.training.history import History
from longspan.training.logs import Logger, listeners
from longspan.training.optimizers import Averaging, build_optimizer
from longspan.training.plan import Loss, LossFunction, Plan, check, check_whole
from longspan.training.schedules import Plateau, with_warmup

#: A loss this many times the first one (or 1, if that is smaller) has exploded.
EXPLODED = 1e6
#: Optimiser steps between measurements of the gradient flow, by default.
FLOW_EVERY = 20


def train(
    model: nn.Module,
    batches: Batches,
    loss: LossFunction,
    plan: Plan,
    *,
    validation: Batches | None = None,
    checkpoint_dir: str | Path | None = None,
    checkpoint_every: int | None = None,
    resume: bool = False,
    settings: dict[str, Any] | None = None,
    loggers: Sequence[Logger] = (),
    flow_every: int | None = FLOW_EVERY,
) -> History:
    """Train a model in place and leave it with its best weights.

    The loss of a step is the sum of the losses over all processes divided by the sum of their
    weights, so the number of processes does not change it. With a validation part the weights of
    the best epoch are kept, by the loss or by the errors that the loss function returns.

    Args:
        model: What is trained.
        batches: Where batches come from.
        loss: Called with the model, a batch and the carried state (None at the start).
        plan: How to train.
        validation: Batches to measure each epoch by.
        checkpoint_dir: Where to write checkpoints: after each epoch, and as the next says.
        checkpoint_every: Steps between checkpoints within an epoch.
        resume: Go on from the checkpoint, if there is one.
        settings: More that must be the same when resuming, by name.
        loggers: Told of every step and epoch.
        flow_every: Optimiser steps between measurements of the gradient flow (`FlowMeter`),
            which stand in ``history.flow`` and in the logs; None for none. What is learnt does not
            depend on it.

    Returns:
        The records of all steps and epochs, also those before a resumption.

    Raises:
        InputError: If the plan cannot be followed, there is nothing to train or to train on, no
            place for checkpoints, or a state to carry that is no nest of tensors.
        CheckpointError: If the checkpoint does not fit.
        TrainingDivergedError: If the loss or a gradient is NaN or infinite, the loss exceeds a
            million times the first one, or the validation's loss or error is NaN.
    """
    if not checkpoint_dir and (resume or checkpoint_every is not None):
        raise InputError(
            "`resume` and `checkpoint_every` need `checkpoint_dir`, the directory of the "
            "checkpoints, and there is none. Name it, or leave them out."
        )
    check_whole("checkpoint_every", checkpoint_every, 0)
    check_whole("flow_every", flow_every, 0)
    with ExitStack() as stack:
        here = stack.enter_context(world())
        # The caller's random state is left as it was.
        stack.enter_context(torch.random.fork_rng(devices=[]))
        torch.manual_seed(plan.seed + here.rank)
        run = _Run(model, batches, loss, plan, validation, here, loggers, checkpoint_dir, settings)
        run.flow = FlowMeter(model, flow_every)
        stack.callback(run.flow.end, 1.0)  # after an error the layers are left as they were
        if resume:
            run.resume()
        run.start_logs(stack)
        run.to_the_end(checkpoint_every)
        return run.history


class _Run:
    """A training under way: all that changes from step to step, and so all of a checkpoint."""

    def __init__(
        self,
        model: nn.Module,
        batches: Batches,
        loss: LossFunction,
        plan: Plan,
        validation: Batches | None,
        here: World,
        loggers: Sequence[Logger],
        checkpoint_dir: str | Path | None,
        settings: dict[str, Any] | None,
    ) -> None:
        check(plan, validation is not None)
        self.bare, self.model, self.loss, self.plan = model, here.wrap(model), loss, plan
        self.batches, self.validation, self.here = batches, validation, here
        self.loggers = (*loggers, *listeners()) if here.is_main else ()
        self.directory = Path(checkpoint_dir) if checkpoint_dir else None
        if self.directory is not None:
            check_place(self.directory, directory=True)
        self.parameters = [p for p in model.parameters() if p.requires_grad]
        _check_material(self.parameters, batches, validation)
        self.optimizer = build_optimizer(
            plan.optimizer, self.parameters, plan.learning_rate, plan.weight_decay
        )
        self.schedule = with_warmup(plan.schedule, plan.warmup_steps)
        self.plateau = Plateau()
        self.averaging = Averaging(self.parameters if plan.optimizer == "nt_asgd" else [])
        steps_per_epoch = -(-len(batches) // plan.accumulate)
        self.total_steps = min(plan.max_epochs * steps_per_epoch, plan.max_steps or 2**62)
        self.settings = {
            **{name: repr(value) for name, value in vars(plan).items()},
            "batches an epoch": len(batches), "processes": here.size,
            "parameters": sum(p.numel() for p in self.parameters), **(settings or {}),
        }  # fmt: skip
        self.history = History()
        self.flow = FlowMeter(model, None)
        self.epoch, self.position, self.step = 1, 0, 0
        self.carried: Any = None
        self.best_loss, self.best_weights, self.waited = math.inf, None, 0
        self.positions: dict[str, int] = {}

    def to_the_end(self, checkpoint_every: int | None) -> None:
        while not self.history.stopped:
            self._epoch(checkpoint_every)
        if self.best_weights is not None:
            self.bare.load_state_dict(self.best_weights)
        else:
            self.averaging.swap()
        # The wrapper must go before the processes part: it holds on to their connection.
        self.model = self.bare
        self.here.barrier()

    def _epoch(self, checkpoint_every: int | None) -> None:
        self.model.train()
        shares = self.batches.epoch(self.epoch, self.position, self.here.rank, self.here.size)
        for group in _groups(shares, self.plan.accumulate):
            self._step(group)
            self.position += len(group)
            if self.step == self.plan.max_steps:
                break
            if checkpoint_every and self.step % checkpoint_every == 0:
                self._checkpoint()
        self._end_epoch()
        self._checkpoint()

    def _step(self, group: list[Share]) -> None:
        self.optimizer.zero_grad()
        self.flow.begin(self.step)
        loss, scale = self._backward(group)
        flow = self.flow.end(scale)
        norm, clipped = self.plan.clipping(self.parameters)
        self._stop_if_diverged(loss, norm)
        rate = self._learning_rate() * sum(share.rate for share in group) / len(group)
        for parameters in self.optimizer.param_groups:
            parameters["lr"] = rate
        self.optimizer.step()
        self.averaging.step()
        self.step += 1
        record = {
            "step": self.step, "epoch": self.epoch, "loss": loss, "grad_norm": norm,
            "clipped": clipped, "learning_rate": rate,
        }  # fmt: skip
        self.history.steps.append(record)
        if flow:
            self.history.flow.append({"step": self.step, **flow})
        for logger in self.loggers:
            logger.step({**record, **flow})

    def _backward(self, group: list[Share]) -> tuple[float, float]:
        """Set the gradients of the mean over all terms of all processes.

        Returns:
            That mean, and what backward's gradients must be multiplied by to be the mean's.
        """
        if len(group) == 1:
            result = self._forward(group[0])
            total, weight = self.here.sum(float(result.total.detach()), float(result.weight))
            weight = max(weight, 1e-30)
            # Gradients are averaged over the processes, so each counts that many times.
            (result.total * (self.here.size / weight)).backward()
            return total / weight, 1.0 / self.here.size
        total, weight = 0.0, 0.0
        for share in group:
            result = self._forward(share)
            result.total.backward()
            total, weight = total + float(result.total.detach()), weight + float(result.weight)
        total, weight = self.here.sum(total, weight)
        weight = max(weight, 1e-30)
        gradients = [p.grad for p in self.parameters if p.grad is not None]
        torch._foreach_mul_(gradients, self.here.size / weight)
        return total / weight, 1.0 / weight

    def _forward(self, share: Share) -> Loss:
        with torch.autocast("cpu", torch.bfloat16, enabled=self.plan.bfloat16):
            total, weight, state, _ = self.loss(self.model, share.batch, self.carried)
        if self.plan.carry_state:
            self.carried = _detach(state)
        return Loss(total, weight) if share.counts else Loss(total * 0.0, 0.0)

    def _learning_rate(self) -> float:
        factor = self.schedule(self.step, self.total_steps) * self.plateau.factor
        return self.plan.learning_rate * factor

    def _end_epoch(self) -> None:
        latest = takewhile(lambda r: r["epoch"] == self.epoch, reversed(self.history.steps))
        own = [record["loss"] for record in latest]
        record = {"epoch": self.epoch, "step": self.step, "train_loss": sum(own) / len(own)}
        if self.validation is not None:
            record |= self._validate(self.validation)
            judged_by = "validation_error" if "validation_error" in record else "validation_loss"
            if math.isnan(record[judged_by]):
                raise TrainingDivergedError(
                    f"After epoch {self.epoch} (step {self.step}) the {judged_by} is NaN, though "
                    "the training's loss is not. Look for NaN or extreme values in the validation "
                    "part. The last checkpoint, if any, is kept."
                )
            self._judge(record[judged_by])
        self.history.epochs.append(record)
        for logger in self.loggers:
            logger.epoch(record)
        if self.plan.patience is not None and self.waited >= self.plan.patience:
            self.history.stopped = "patience"
        elif self.step == self.plan.max_steps:
            self.history.stopped = "max_steps"
        elif self.epoch == self.plan.max_epochs:
            self.history.stopped = "max_epochs"
        self.epoch, self.position, self.carried = self.epoch + 1, 0, None

    @torch.no_grad()
    def _validate(self, batches: Batches) -> dict[str, float]:
        self.averaging.swap()
        self.model.eval()
        total, weight, state = 0.0, 0.0, None
        errors: tuple[tuple[float, float], ...] = ()
        for share in batches.epoch(0, 0, self.here.rank, self.here.size):
            result = self.loss(self.bare, share.batch, state)
            state = result.state if self.plan.carry_state else None
            errors = errors or ((0.0, 0.0),) * len(result.errors or ())
            if share.counts:
                total, weight = total + float(result.total), weight + float(result.weight)
                pairs = zip(errors, result.errors or (), strict=True)
                errors = tuple((a + b, c + d) for (a, c), (b, d) in pairs)
        sums = self.here.sum(total, weight, *(v for pair in errors for v in pair))
        self.averaging.swap()
        loss, *ratios = (a / max(b, 1e-30) for a, b in zip(sums[::2], sums[1::2], strict=True))
        error = {"validation_error": sum(ratios) / len(ratios)} if ratios else {}
        return {"validation_loss": loss, **error}

    def _judge(self, loss: float) -> None:
        """Keep the weights if they are the best so far, and let the schedules know.

        Args:
            loss: Of the validation part, or its error where the loss function gives errors.
        """
        if self.plan.schedule == "plateau":
            self.plateau.update(loss)
        self.waited += 1
        if loss < self.best_loss:
            self.averaging.swap()
            weights = self.bare.state_dict()
            self.best_weights = {name: value.clone() for name, value in weights.items()}
            self.averaging.swap()
            self.best_loss, self.waited = loss, 0
            self.history.best_epoch, self.history.best_step = self.epoch, self.step
        if self.plan.optimizer == "nt_asgd":
            self.averaging.note(loss)

    def _stop_if_diverged(self, loss: float, norm: float) -> None:
        first = abs(self.history.steps[0]["loss"]) if self.history.steps else abs(loss)
        exploded = abs(loss) > EXPLODED * max(first, 1.0)
        if math.isfinite(loss) and math.isfinite(norm) and not exploded:
            return
        layers = ", ".join(
            f"{name} {float(p.grad.norm()):.3g}"
            for name, p in self.bare.named_parameters()
            if p.grad is not None
        )
        raise TrainingDivergedError(
            f"Training diverged at step {self.step + 1}: loss {loss:.6g}, gradient norm "
            f"{norm:.6g}. Gradient norms by parameter: {layers}. Try a lower learning rate than "
            f"{self._learning_rate():.3g}, clip the gradients' norm (1.0 is usual), and look for "
            "NaN or extreme values in the data. The last checkpoint, if any, is kept."
        )

    def start_logs(self, stack: ExitStack) -> None:
        for logger in self.loggers:
            position = self.positions.get(type(logger).__name__, 0)
            logger.start(position, self.step, self.total_steps)
            stack.callback(logger.close)

    def _checkpoint(self) -> None:
        if self.directory is None:
            return
        own = {"random": torch.get_rng_state(), "carried": self.carried}
        everyone = self.here.gather(own)
        if not self.here.is_main:
            return
        state = {
            "settings": self.settings, "processes": everyone,
            "positions": {type(logger).__name__: logger.flush() for logger in self.loggers},
            "model": self.bare.state_dict(), "optimizer": self.optimizer.state_dict(),
            "plateau": self.plateau.state_dict(), "averaging": self.averaging.state_dict(),
            "history": vars(self.history), "best_weights": self.best_weights,
            **{name: getattr(self, name) for name in _COUNTERS},
        }  # fmt: skip
        write_checkpoint(self.directory, state)

    def resume(self) -> None:
        state = read_checkpoint(self.directory, self.settings) if self.directory else None
        if state is None:
            return
        self.bare.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.plateau.load_state_dict(state["plateau"])
        self.averaging.load_state_dict(state["averaging"])
        self.history = History(**state["history"])
        self.best_weights = state["best_weights"]
        for name in _COUNTERS:
            setattr(self, name, state[name])
        self.positions = state["positions"]
        own = state["processes"][self.here.rank]
        self.carried = own["carried"]
        torch.set_rng_state(own["random"])


_COUNTERS = ("epoch", "position", "step", "best_loss", "waited")


def _check_material(
    parameters: Sequence[nn.Parameter], batches: Batches, validation: Batches | None
) -> None:
    if not parameters:
        raise InputError(
            "No parameter of the model requires a gradient, so there is nothing to train. Call "
            "requires_grad_() on those that are to learn."
        )
    for name, given in (("batches", batches), ("validation", validation)):
        if given is not None and len(given) < 1:
            raise InputError(f"`{name}` must have at least one batch an epoch, got {len(given)}.")


def _groups(shares: Iterator[Share], size: int) -> Iterator[list[Share]]:
    while group := list(islice(shares, size)):
        yield group


def _detach(state: Any) -> Any:
    """Return a nest of tensors cut off from the graph: here BPTT is truncated."""
    if isinstance(state, Tensor):
        return state.detach()
    if isinstance(state, dict):
        return {key: _detach(value) for key, value in state.items()}
    if type(state) in (tuple, list):
        return type(state)(_detach(value) for value in state)
    if state is None or isinstance(state, int | float | str):
        return state
    # Of other types neither the tensors inside are known nor how a checkpoint would read them.
    raise InputError(
        "A state to carry must be a nest of tuples, lists, dictionaries, tensors and numbers, got "
        f"{type(state).__name__}. Return one made of these from the loss function."
    )
