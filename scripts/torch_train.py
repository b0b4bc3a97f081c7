"""A recipe's training steps with PyTorch's own optimisers.

Weights decay, norms and biases do not; both are clipped together. Widths (as
ln w) and decays (as logit d) have an Adam of their own. All learning rates
follow one factor, stated here a second time and not read from SURGE's file."""
import math

import torch


def factor(training, step):
    """Of all learning rates at optimiser step `step`, from 0."""
    warm = training["warmup_epochs"] * training["steps_per_epoch"]
    if step < warm:
        return min(1.0, (step + 1) / warm)
    if training["schedule"] == "cosine":
        total = training["steps_per_epoch"] * training["epochs"]
        low = training["lr_min"] / training["lr"]
        done = min(1.0, (step - warm) / max(1.0, total - warm))
        return low + (1 - low) * (1 + math.cos(math.pi * done)) / 2
    if training["schedule"] == "step":
        epoch = step // training["steps_per_epoch"]
        return training["gamma"] ** sum(epoch >= m for m in training["milestones"])
    assert training["schedule"] == "constant", training["schedule"]
    return 1.0


def split(parameters):
    """Parameters by group, in SURGE's order: weight, norm, width, decay."""
    groups = {"weight": [], "norm": [], "width": [], "decay": []}
    for name, value in parameters.items():
        kind = name.split(".")[-1]
        groups[{"weight": "weight", "rho": "width",
                "decay_logit": "decay", "synapse_logit": "decay"}.get(kind, "norm")].append(value)
    return groups


def main_optimizer(groups, training):
    """Of weights, norms and biases."""
    sets = [{"params": groups["weight"], "weight_decay": training["weight_decay"]},
            {"params": groups["norm"], "weight_decay": 0.0}]
    sets = [group for group in sets if group["params"]]
    if training["kind"] == "sgd":
        return torch.optim.SGD(sets, lr=training["lr"],
                               momentum=training["momentum"],
                               nesterov=training["nesterov"])
    kind = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[training["kind"]]
    return kind(sets, lr=training["lr"], eps=training["eps"],
                betas=(training["beta1"], training["beta2"]))


class Trainer:
    """Steps over named parameters that have gradients."""

    def __init__(self, parameters, training):
        self.training, self.groups = training, split(parameters)
        self.optimizers = [main_optimizer(self.groups, training)]
        for word in ("width", "decay"):
            if self.groups[word]:
                self.optimizers.append(torch.optim.Adam(
                    self.groups[word], lr=training[word + "_lr"],
                    eps=training["eps"],
                    betas=(training["beta1"], training["beta2"])))
        self.schedules = [torch.optim.lr_scheduler.LambdaLR(
            optimizer, lambda step: factor(training, step))
            for optimizer in self.optimizers]

    def step(self, loss):
        training = self.training
        for optimizer in self.optimizers:
            optimizer.zero_grad()
        loss.backward()
        if training["clip_norm"] > 0:
            torch.nn.utils.clip_grad_norm_(
                self.groups["weight"] + self.groups["norm"], training["clip_norm"])
        for optimizer, schedule in zip(self.optimizers, self.schedules):
            optimizer.step()
            schedule.step()
        with torch.no_grad():
            for rho in self.groups["width"]:
                rho.clamp_(math.log(training["width_min"]),
                           math.log(training["width_max"]))
