#!/usr/bin/python3
"""Checks training steps of SURGE against PyTorch.

    build/surge grad RECIPE --out one_step.safetensors [--soft]
    build/surge grad RECIPE --out steps.safetensors --soft --steps 50
    scripts/compare_torch.py FILE...

The file holds input, labels, parameters and everything that the step gave; the
network is rebuilt here in double precision. Exit code 1 where a limit is
exceeded.

With --soft (the smooth twin: S_w in place of the step) every gradient is a true
derivative, and loss, gradients and statistics must agree to 1e-4. Rectangular
windows have corners, where the derivative jumps: on which side of one a neuron
lies is read off the current that SURGE recorded, as a few of 12 million on a
corner can make 1e-2 of a gradient (and do between PyTorch's float32 and its
float64). With hard spikes one flip of rounding anywhere changes everything
behind it; so each layer is fed the current that SURGE recorded, and a spike may
differ only where the threshold is nearer than the rounding of u. Running
statistics are checked as those of a first step (files without --from).

A file of --steps is then trained here, on its images, with PyTorch's optimisers
and a schedule computed here (torch_train.py). Each step starts from SURGE's
parameters, with moments that PyTorch has gathered itself: every step's loss,
width and parameters must agree to 1e-4, and what the update added to them too,
unless windows are rectangular (their corners: no currents are recorded after
the first step). Left to themselves two correct runs drift apart within a few
steps; --free N shows how fast, beside PyTorch's own float32 against its
float64."""
import argparse
import csv
import json
import os
import sys

import numpy as np
import torch

import tensorfile
import torch_snn as snn
from torch_train import Trainer, factor

LIMIT = 1e-4
UNIT = 2.0 ** -24
STATISTICS = ("count", "mean", "m2", "window", "spikes", "quantization")


class File:
    """One dump: tensors in double, and its metadata."""

    def __init__(self, path):
        self.arrays, meta = tensorfile.read(path)
        if "layers" not in meta:
            raise SystemExit(f"{path}: wanted a file of `surge grad`, found no layers")
        self.layers = json.loads(meta["layers"])
        self.recipe = meta.get("recipe", "")
        self.loss = json.loads(meta["loss"])
        self.soft = meta["soft"] == "true"
        self.T = int(meta["T"])
        self.pda_weight = float(meta["pda_weight"])
        self.pda_layers = int(meta["pda_layers"])
        self.training = json.loads(meta.get("training", "null"))

    def __contains__(self, name):
        return name in self.arrays

    def tensor(self, name):
        return torch.from_numpy(np.array(self.arrays[name], dtype=np.float64))

    def starting_with(self, prefix):
        """Names that start so, without it."""
        return [n[len(prefix):] for n in self.arrays if n.startswith(prefix)]


# --- layers, on [T, N, C, H, W] ----------------------------------------------

def over_images(function, x):
    """Applies a function of images to all T*N of them."""
    y = function(x.flatten(0, 1))
    return y.unflatten(0, x.shape[:2])


def conv(layer, x, parameters):
    weight = parameters["weight"].permute(0, 3, 1, 2)
    return over_images(lambda images: torch.nn.functional.conv2d(
        images, weight, parameters.get("bias"), stride=layer["stride"],
        padding=layer["pad"], groups=layer["groups"]), x)


def linear(layer, x, parameters):
    """Features are a map in the order H, W, C."""
    features = x.permute(0, 1, 3, 4, 2).flatten(2)
    y = torch.nn.functional.linear(features, parameters["weight"].flatten(1),
                                   parameters.get("bias"))
    return y[..., None, None]


def pool(layer, x, parameters):
    average = layer["kind"] == "avgpool"
    function = torch.nn.functional.avg_pool2d if average else \
        torch.nn.functional.max_pool2d
    return over_images(lambda images: function(images, layer["kernel"],
                                               layer["stride"], layer["pad"]), x)


def norm(layer, x, parameters):
    """PyTorch's own batch norm; all T*N images are one batch."""
    a = over_images(lambda images: torch.nn.functional.batch_norm(
        images, None, None, layer["alpha_theta"] * parameters["gamma"],
        parameters["beta"], True, 0.0, layer["eps"]), x)
    if "step_scale" in parameters:
        a = a * parameters["step_scale"].view(-1, 1, 1, 1, 1)
    return a


def integrator(layer, x, parameters):
    u, steps = torch.zeros_like(x[0]), []
    for t in range(x.shape[0]):
        u = layer["neuron"]["decay"] * u + x[t]
        steps.append(u)
    return torch.stack(steps)


def add(layer, x, parameters):
    """What it adds has been added before."""
    return x


STATELESS = {"add": add, "conv": conv, "linear": linear, "avgpool": pool,
             "maxpool": pool, "norm": norm, "integrator": integrator}


def neuron_scalars(layer, parameters, gammas):
    """d, and the two widths as tensors that broadcast over [N, C, H, W]."""
    spec = layer["neuron"]
    d = decay_of(spec, parameters, "decay")
    rho = parameters.get("rho")
    w = snn.widths(spec, rho.view(-1, 1, 1) if rho is not None else None, d, gammas)
    return d, w


def decay_of(spec, parameters, which):
    """The factor `decay`, or `synapse_decay` of a synapse; learned or not."""
    logit = parameters.get(which.replace("_decay", "") + "_logit")
    return torch.tensor(spec[which], dtype=torch.float64) if logit is None \
        else torch.sigmoid(logit)


def synapse_of(spec, parameters):
    """The decay of a neuron's synapse, or None without one."""
    return decay_of(spec, parameters, "synapse_decay") \
        if spec["synapse_learned"] or spec["synapse_decay"] > 0 else None


def recorded_inside(file, layer, d, w, synapse):
    """For every t: is a neuron inside the rectangular window in float32, from
    the current that SURGE recorded?"""
    spec = layer["neuron"]
    current = file.tensor(layer["name"] + ".current").float().permute(0, 1, 4, 2, 3)
    d, w = d.detach().float(), [value.detach().float() for value in w]
    kept = None if synapse is None else synapse.detach().float()
    trace = snn.lif(current, dict(spec, decay_input=False), d, w, True,
                    synapse=kept)
    return [(u - spec["v_threshold"]).abs() < 0.5 * w[t > 0]
            for t, u in enumerate(trace["u"])]


# --- the network -------------------------------------------------------------

def shown(x, T):
    """Images [N, H, W, C], repeated, or [T, N, H, W, C] as [T, N, C, H, W]."""
    if x.dim() == 4:
        x = x.expand(T, *x.shape)
    return x.permute(0, 1, 4, 2, 3)


def own_parameters(parameters, name):
    return {key[len(name) + 1:]: value for key, value in parameters.items()
            if key.startswith(name + ".")}


class Network:
    """The forward of a file's layers; keeps what is compared. `recorded`: the
    batch is the one whose currents are in the file."""

    def __init__(self, file, dtype=torch.float64, recorded=False):
        self.recorded, self.file, self.traces, self.pda = recorded, file, {}, []
        self.running = {}
        self.parameters = {name: file.tensor(name).to(dtype).requires_grad_(True)
                           for name in file.starting_with("grad.")}

    def losses(self, images, labels):
        """Logits, task loss, pda, and the whole that is differentiated."""
        file = self.file
        self.pda = []
        logits = self.forward(shown(images, file.T))
        loss = snn.loss(logits, labels, **file.loss)
        pda = sum(self.pda) if self.pda else torch.zeros_like(loss)
        return logits, loss, pda, \
            loss + file.pda_weight / max(file.pda_layers, 1) * pda

    def forward(self, x):
        """Layers in order, each on the outputs that it names."""
        made = {"image": x}
        for layer in self.file.layers:
            name, x = layer["name"], made[layer["from"]]
            own = own_parameters(self.parameters, name)
            if layer["kind"] == "dropout":
                if layer["p"] > 0:
                    raise SystemExit("dropout: its mask is not in the file; "
                                     "--set model.dropout=0")
                made[name] = x
                continue
            if layer["kind"] == "norm":
                self.keep_running(name, x)
            if layer.get("add", "none") != "none":
                x = x + made[layer["add"]]
            if layer["kind"] == "neuron":
                made[name] = self.neuron(layer, x, own, self.gammas_of(layer))
            else:
                made[name] = STATELESS[layer["kind"]](layer, x, own)
        return made[name].permute(0, 1, 3, 4, 2).flatten(2)

    def gammas_of(self, layer):
        """Of the norms that a neuron reads."""
        return [self.parameters[source + ".gamma"]
                for source in (layer["from"], layer["add"])
                if source + ".gamma" in self.parameters]

    def neuron(self, layer, x, own, gammas):
        spec = layer["neuron"]
        d, w = neuron_scalars(layer, own, gammas)
        synapse = synapse_of(spec, own)
        inside = recorded_inside(self.file, layer, d, w, synapse) \
            if self.recorded and spec["family"] == "rectangular" else None
        trace = snn.lif(x, spec, d, w, self.file.soft, inside, synapse)
        u, s = torch.stack(trace["u"]), torch.stack(trace["s"])
        if spec["pda"] != "off":
            self.pda.append(snn.pda(u, spec, d, w, channel_dim=2))
        self.traces[layer["name"]] = {
            "spec": spec, "u": u.detach(), "s": s.detach(),
            "current": trace["current"].detach(),
            "w": [value.detach() for value in w]}
        return s

    def keep_running(self, name, x):
        """Moments of steps that started from mean 0 and variance 1."""
        images = x.detach().flatten(0, 1).transpose(0, 1).flatten(1)
        for word, start, value in (("mean", 0.0, images.mean(1)),
                                   ("var", 1.0, images.var(1))):
            key = f"{name}.running_{word}"
            self.running[key] = 0.9 * self.running.get(key, start) + 0.1 * value


# --- comparison --------------------------------------------------------------

def relative(surge, peer):
    return abs(surge - peer) / max(abs(surge), abs(peer), 1e-30)


class Table:
    """name | surge | torch | relative difference, and the verdict."""

    def __init__(self):
        self.failed, self.worst = 0, ("", 0.0)
        print(f"{'name':34} {'surge':>13} {'torch':>13} {'difference':>11}")

    def judge(self, name, difference, limit=LIMIT):
        """Counts a difference; says what is wrong with it, if anything."""
        wrong = not difference <= limit  # NaN is wrong
        self.failed += wrong
        if not difference <= self.worst[1]:
            self.worst = name, difference
        return f"  {name} exceeds {limit:g}" if wrong else ""

    def row(self, name, surge, peer, difference, limit=LIMIT):
        verdict = self.judge(name, difference, limit)
        print(f"{name:34} {surge:13.6g} {peer:13.6g} {difference:11.2e}{verdict}")

    def scalar(self, name, surge, peer):
        surge, peer = float(surge), float(peer)
        self.row(name, surge, peer, relative(surge, peer))

    def array(self, name, surge, peer):
        """Relative L2, with the two norms beside it."""
        a, b = surge.norm().item(), peer.norm().item()
        distance = (surge - peer).norm().item()
        self.row(name, a, b, distance / max(a, b) if distance else 0.0)


def statistics_of(trace):
    """[T, 6] as surge_neuron_statistics."""
    rows = []
    for t, (u, s) in enumerate(zip(trace["u"], trace["s"])):
        spec = trace["spec"]
        half = snn.window(spec["family"], trace["w"][t > 0])
        inside = (u - spec["v_threshold"]).abs() < half
        rows.append([u.numel(), u.mean(), ((u - u.mean()) ** 2).sum(),
                     inside.sum(), s.sum(), ((u - s) ** 2).sum()])
    return torch.tensor(rows, dtype=torch.float64)


def compare_statistics(table, file, name, trace):
    """`window` counts elements; one on the edge may fall on either side: two in
    ten thousand."""
    surge, peer = file.tensor(name + ".statistics"), statistics_of(trace)
    for column, word in enumerate(STATISTICS):
        a, b = surge[:, column], peer[:, column]
        if word == "window":
            share = (a.sum() - b.sum()).abs().item() / peer[:, 0].sum().item()
            table.row(f"{name} {word}", a.sum(), b.sum(), share, 2e-4)
        else:
            table.array(f"{name} {word}", a, b)


def compare_soft(table, file):
    network = Network(file, recorded=True)
    logits, loss, pda, total = network.losses(file.tensor("input"),
                                              file.tensor("labels"))
    names = list(network.parameters)
    gradients = torch.autograd.grad(total, [network.parameters[n] for n in names],
                                    allow_unused=True)
    table.scalar("loss", file.tensor("loss"), loss.detach())
    table.scalar("pda", file.tensor("pda"), pda.detach())
    table.array("logits", file.tensor("logits"), logits.detach())
    for name, gradient in zip(names, gradients):
        peer = torch.zeros_like(network.parameters[name]) if gradient is None \
            else gradient
        table.array("grad." + name, file.tensor("grad." + name), peer)
    for name, value in network.running.items():
        table.array(name, file.tensor(name), value)
    for name, trace in network.traces.items():
        table.array(name + ".current", file.tensor(name + ".current"),
                    trace["current"].permute(0, 1, 3, 4, 2))
        compare_statistics(table, file, name, trace)


# --- training steps ----------------------------------------------------------

def batches(file):
    """Every step's images or, [T, N, H, W, C], frames of events, normalised as
    the recipe says, and labels."""
    images, labels = file.tensor("steps.images"), file.tensor("steps.labels")
    mean, std = (torch.tensor(file.training[word], dtype=torch.float64)
                 for word in ("mean", "std"))
    sizes = [int(n) for n in file.arrays["steps.batch"]]
    for some, answers in zip(images.split(sizes), labels.split(sizes)):
        if some.dim() == 5:
            yield (some.transpose(0, 1) - mean) / std, answers
        else:
            yield (some / 255 - mean) / std, answers


def spiking(file):
    return [layer for layer in file.layers if layer["kind"] == "neuron"]


def first_widths(file):
    return {layer["name"]: layer["neuron"]["width"] for layer in spiking(file)}


def set_scheduled_widths(file, start, step):
    """Widths of the rule `schedule` fall geometrically to width_end."""
    total = file.training["epochs"] * file.training["steps_per_epoch"]
    share = step / (total - 1) if total > 1 else 0.0
    for layer in spiking(file):
        spec, first = layer["neuron"], start[layer["name"]]
        if spec["width_rule"] == "schedule":
            spec["width"] = first * (spec["width_end"] / first) ** share


def compare_rates(table, file):
    """The four groups' learning rates at every step: SURGE's against ours."""
    training, recorded = file.training, file.tensor("steps.learning_rate")
    base = torch.tensor([training[word] for word in
                         ("lr", "lr", "width_lr", "decay_lr")], dtype=torch.float64)
    table.array("learning rates", recorded, torch.stack(
        [base * factor(training, step) for step in range(len(recorded))]))


def free_losses(file, steps, dtype):
    """Losses of a run of PyTorch's own from the first parameters."""
    network, losses = Network(file, dtype), []
    trainer, start = Trainer(network.parameters, file.training), first_widths(file)
    for step, (images, labels) in zip(range(steps), batches(file)):
        set_scheduled_widths(file, start, step)
        _, loss, _, total = network.losses(images.to(dtype), labels)
        trainer.step(total)
        losses.append(loss.item())
    return losses


def state(file, step):
    """SURGE's parameters before the update of a step, or after the last."""
    last = step == len(file.arrays["steps.loss"])
    return {name: file.tensor("after." + name) if last
            else file.tensor("steps.state." + name)[step]
            for name in file.starting_with("grad.")}


NEURON = ("rho", "decay_logit", "synapse_logit")  # logarithms: by difference


def distance(a, b, names):
    return sum((a[n] - b[n]).square().sum().item() for n in names) ** 0.5


def update_gaps(before, surge, peer):
    """After an update: the parameters' relative L2 difference (rho's and
    logit's aside), the largest of rho and logit, and the updates' own relative
    difference, the larger of the two groups', less what rounding the
    parameters to float32 (a product, a sum, the result) may add."""
    zero = {n: torch.zeros_like(value) for n, value in surge.items()}
    logarithms = [n for n in surge if n.endswith(NEURON)]
    main = [n for n in surge if n not in logarithms]
    updates = []
    for names in (main, logarithms):
        beyond = distance(surge, peer, names) - 4 * UNIT * distance(surge, zero, names)
        updates.append(max(beyond, 0) / max(distance(peer, before, names), 1e-30))
    return distance(surge, peer, main) / distance(surge, zero, main), \
        max(((surge[n] - peer[n]).abs().max().item() for n in logarithms), default=0), \
        max(updates)


def has_corners(file):
    return any(layer["neuron"]["family"] == "rectangular" for layer in spiking(file))


def widths_after(network, surge, peer):
    """Means of each layer's widths [surge, torch, ...]: after the update where
    they are learned, else as the step used them."""
    pairs = []
    for name, trace in network.traces.items():
        if name + ".rho" in surge:
            pairs += [side[name + ".rho"].exp().mean().item() for side in (surge, peer)]
        else:
            pairs += [trace["recorded"].mean().item(), trace["w"][0].mean().item()]
    return pairs


def compare_forward(table, file, network, step, batch):
    """Loss, pda and the widths that the step used; the two losses, the total
    and the verdict."""
    _, loss, pda, total = network.losses(*batch)
    losses = file.arrays["steps.loss"][step], loss.item()
    verdict = table.judge(f"loss at {step}", relative(*losses))
    verdict += table.judge(f"pda at {step}", relative(
        file.arrays["steps.pda"][step], pda.item()))
    for name, trace in network.traces.items():
        trace["recorded"] = file.tensor("steps.width." + name)[step]
        here = trace["w"][0].flatten()
        verdict += table.judge(f"{name} width at {step}", (
            (trace["recorded"] - here).abs() / here).max().item())
    return losses, total, verdict


def compare_steps(table, file, record, free):
    """Row k: the loss of step k, and what its update made of the widths and of
    the parameters."""
    compare_rates(table, file)
    drift = [free_losses(file, free, dtype) for dtype in
             (torch.float64, torch.float32)] if free else [[], []]
    network, start = Network(file), first_widths(file)
    trainer = Trainer(network.parameters, file.training)
    print(f"{'step':>4} {'loss surge':>13} {'loss torch':>13} {'difference':>10} "
          f"{'parameters':>10} {'update':>8} {'widths':>8}  widths surge/torch")
    for step, batch in enumerate(batches(file)):
        before, after = state(file, step), state(file, step + 1)
        with torch.no_grad():
            for name, value in network.parameters.items():
                value.copy_(before[name])
        set_scheduled_widths(file, start, step)
        losses, total, verdict = compare_forward(table, file, network, step, batch)
        trainer.step(total)
        peer = {name: value.detach() for name, value in network.parameters.items()}
        gap, width, update = update_gaps(before, after, peer)
        verdict += table.judge(f"parameters after {step}", gap)
        verdict += table.judge(f"widths and decays after {step}", width)
        if not has_corners(file):
            verdict += table.judge(f"update {step}", update)
        widths = widths_after(network, after, peer)
        print(f"{step:4} {losses[0]:13.8f} {losses[1]:13.8f} "
              f"{relative(*losses):10.1e} {gap:10.1e} {update:8.1e} {width:8.1e}  "
              + "  ".join(f"{a:.6f}/{b:.6f}" for a, b in
                          zip(widths[::2], widths[1::2])) + verdict, flush=True)
        record.add(file, start, step, [*losses, *widths],
                   [run[step] if step < free else None for run in drift])
    for name, value in network.running.items():
        table.array("after." + name, file.tensor("after." + name), value)
    report_drift(file, *drift)


def report_drift(file, double, single):
    """Free runs: SURGE against PyTorch in float64, and PyTorch in float32."""
    for step, (a, b) in enumerate(zip(double, single)):
        here = file.arrays["steps.loss"][step]
        print(f"free run, step {step:3}: surge {relative(here, a):8.1e}  "
              f"torch in float32 {relative(b, a):8.1e}  from torch in float64")


class Record:
    """The rows of --csv, if it is wanted."""

    def __init__(self, path):
        self.file = open(path, "w", newline="", encoding="utf-8") if path else None
        self.writer = None

    def add(self, file, start, step, pairs, free):
        if not self.file:
            return
        layers = spiking(file)
        if not self.writer:
            self.writer = csv.writer(self.file, lineterminator="\n")
            self.writer.writerow(
                ["rule", "start", "step", "loss_surge", "loss_torch"]
                + [f"{layer['name']}_{side}" for layer in layers
                   for side in ("surge", "torch")]
                + ["loss_torch_free", "loss_torch_free_float32"])
        first = layers[0]
        self.writer.writerow(
            [first["neuron"]["width_rule"], f"{start[first['name']]:.6g}", step]
            + ["" if value is None else f"{value:.9g}" for value in pairs + free])
        self.file.flush()


# --- hard spikes -------------------------------------------------------------

def rounding_bound(spec, d, synapse, i, u, v):
    """Bound of |u_float32 - u| at every step: a product and a sum rounded, v
    too where the reset is soft, and d rounded once; the same of a synapse."""
    bound, e_v, before = [], torch.zeros_like(u[0]), torch.zeros_like(u[0])
    e_i = torch.zeros_like(u[0])
    for t in range(u.shape[0]):
        if synapse is not None:
            kept = synapse * i[t - 1] if t else 0 * i[0]
            e_i = synapse * e_i + UNIT * (2 * kept.abs() + i[t].abs())
        e_u = d * e_v + e_i + UNIT * (2 * (d * before).abs() + u[t].abs())
        bound.append(e_u)
        fired = u[t] >= spec["v_threshold"]
        e_v = e_u + UNIT * v[t].abs() if spec["reset"] == "soft" else \
            torch.where(fired, torch.zeros_like(e_u), e_u)
        before = v[t]
    return torch.stack(bound)


def replay(spec, d, synapse, current, w):
    """A trace of the recorded current in the precision of its tensors."""
    trace = snn.lif(current, dict(spec, decay_input=False), d, (w, w),
                    synapse=synapse)
    return {key: torch.stack(trace[key]) for key in "iusv"}


def compare_hard_layer(table, file, layer):
    """In float32 the replay must fire exactly as often as SURGE at each step;
    against float64 a neuron may differ only from a near decision on."""
    name, spec = layer["name"], layer["neuron"]
    own = {key: file.tensor(name + "." + key) for key in NEURON
           if name + "." + key in file}
    d, _ = neuron_scalars({"neuron": dict(spec, width_rule="fixed")}, own, None)
    current, one = file.tensor(name + ".current"), torch.ones(())
    synapse = synapse_of(spec, own)
    exact = replay(spec, d, synapse, current, one.double())
    single = replay(spec, d.float(), None if synapse is None else synapse.float(),
                    current.float(), one)
    near = (exact["u"] - spec["v_threshold"]).abs() <= \
        rounding_bound(spec, d, synapse, exact["i"], exact["u"], exact["v"])
    excused = near.cumsum(0) > 0
    differ = exact["s"] != single["s"].double()
    table.row(f"{name} spikes differ, {int((differ & excused).sum())} near",
              0, int((differ & ~excused).sum()), int((differ & ~excused).sum()), 0)
    counts = single["s"].double().flatten(1).sum(1)
    recorded = file.tensor(name + ".statistics")
    for t in range(file.T):
        table.row(f"{name} spikes at step {t}", recorded[t, 4], counts[t],
                  abs(recorded[t, 4] - counts[t]), 0)
    u = single["u"].double().flatten(1)
    quantization = ((u - single["s"].double().flatten(1)) ** 2).sum(1)
    table.array(f"{name} mean", recorded[:, 1], u.mean(1))
    table.array(f"{name} m2", recorded[:, 2],
                ((u - u.mean(1, keepdim=True)) ** 2).sum(1))
    table.array(f"{name} quantization", recorded[:, 5], quantization)


def compare_hard(table, file):
    logits = file.tensor("logits")
    loss = snn.loss(logits, file.tensor("labels"), **file.loss)
    table.scalar("loss of the recorded logits", file.tensor("loss"), loss)
    for layer in file.layers:
        if layer["kind"] == "neuron":
            compare_hard_layer(table, file, layer)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("files", nargs="+", metavar="FILE")
    parser.add_argument("--csv", metavar="FILE", help="losses and widths by step")
    parser.add_argument("--free", type=int, default=0, metavar="N",
                        help="also run N steps freely, in float64 and float32")
    arguments = parser.parse_args()
    record, failed = Record(arguments.csv), 0
    for path in arguments.files:
        file = File(path)
        print(f"\n{os.path.basename(path)}: T {file.T}, batch "
              f"{file.arrays['labels'].shape[0]}, "
              f"{'smooth twin' if file.soft else 'hard spikes'}")
        table = Table()
        (compare_soft if file.soft else compare_hard)(table, file)
        if file.soft and file.training:
            compare_steps(table, file, record, arguments.free)
        print("largest difference: {} {:.2e}".format(*table.worst))
        failed += table.failed
    print(f"\n{failed} rows exceed their limit" if failed else "\nall rows agree")
    return failed > 0


if __name__ == "__main__":
    sys.exit(main())
