#!/usr/bin/env python3
"""Times one training step on a GPU: SURGE, SpikingJelly, PyTorch by hand.

    benchmarks/peers/step_gpu.py --surge build-gpu/surge --fashion FOLDER
                                 [--cifar FOLDER] [--seconds 600] [--out x.csv]

Networks: `cifarnet` (step_cifarnet.yaml, T = 4, batch 128; needs --cifar, images
of any kind in CIFAR-10's files) and `convnet` (step.yaml, T = 4, batch 32). The
sides, each in variants:

  surge         surge bench train, with its graph and without
  spikingjelly  the one that Python finds, multi-step mode; its backends
  pytorch       a loop over T by hand; a static image's first layers run once

Variants of the peers: precision fp32, tf32 (PyTorch's default for convolutions)
or bf16 autocast; channels_last; torch.compile. SURGE computes in fp32 alone.
First the smooth twins (S_w in place of the step) compute the loss of one batch
with the same weights, in fp32: a side that finds another is not timed. Then all
that fit into --seconds take turns, the device waited for around each step.
Peak memory: of the peers what PyTorch allocated; of SURGE what nvidia-smi shows
more than before, its context included. A variant that does not run stays in the
table with the reason. `--device cpu` with small sizes tries the script itself.
"""
import argparse
import contextlib
import csv
import gc
import importlib.metadata
import importlib.util
import os
import subprocess
import sys
import tempfile
import threading
import time

import torch

import step as cpu
sys.path.insert(0, os.path.join(cpu.ROOT, "scripts"))
import tensorfile
import torch_snn

RECIPES = os.path.join(cpu.ROOT, "benchmarks", "recipes")
NETWORKS = {"cifarnet": ("step_cifarnet.yaml", 128), "convnet": ("step.yaml", 32)}
SMOOTH_LIMIT = 1e-4  # relative, as the tests of whole networks have it
COMPILE_SECONDS = 60  # left at least where torch.compile is begun
COLUMNS = ["network", "side", "version", "backend", "compile", "precision",
           "channels_last", "device", "T", "batch", "rounds", "steps",
           "median_ms", "min_ms", "max_ms", "samples_per_s", "peak_mb", "loss",
           "note"]


# --- the networks ------------------------------------------------------------

class Spike(torch_snn.HardSpike):
    """Without the gradient of the width, which is no parameter here: HardSpike
    asks needs_input_grad, where torch.compile before 2.4 leaves its graph."""

    @staticmethod
    def backward(ctx, g):
        x, w = ctx.saved_tensors
        return g * torch_snn.surrogate(ctx.family, x, w), None, None


class ByHand(torch.nn.Module):
    def __init__(self, batch, soft):
        super().__init__()
        self.T, self.spec = batch["T"], batch["spec"]
        self.kinds = [layer["kind"] for layer in batch["layers"]]
        self.parts = torch.nn.ModuleList(
            by_hand_part(layer) for layer in batch["layers"])
        self.register_buffer("width", torch.tensor(self.spec["width"]))
        self.fire = self.soft if soft else self.hard

    def soft(self, x):
        return torch_snn.soft_spike("arctan", x, self.width)

    def hard(self, x):
        return Spike.apply(x, self.width, "arctan")

    def lif(self, currents):
        v, spikes = torch.zeros_like(currents[0]), []
        for current in currents:
            u = self.spec["decay"] * v + current
            s = self.fire(u - 1.0)
            v = u * (1 - s.detach())
            spikes.append(s)
        return torch.cat(spikes)

    def forward(self, x):
        static = True  # [N, ...] until the first neuron, then [T*N, ...]
        for kind, part in zip(self.kinds, self.parts):
            if kind == "neuron":
                x = self.lif(x.expand(self.T, *x.shape) if static
                             else x.unflatten(0, (self.T, -1)))
                static = False
            else:
                x = part(x.flatten(1) if kind == "linear" else x)
        return x.unflatten(0, (self.T, -1)).mean(0)


def by_hand_part(layer):
    kind, nn = layer["kind"], torch.nn
    if kind == "norm":
        flat = layer["in"][:2] == [1, 1]
        return (nn.BatchNorm1d if flat else nn.BatchNorm2d)(layer["in"][2])
    return nn.Identity() if kind == "neuron" else shared_part(nn, layer)


def shared_part(library, layer):
    """Convolution, product or pooling, of PyTorch or SpikingJelly."""
    kind = layer["kind"]
    h, w, c = layer["in"]
    out = layer["out"][2]
    if kind == "conv":
        return library.Conv2d(c, out, layer["kernel"], layer["stride"],
                              layer["pad"], groups=layer["groups"],
                              bias=layer["bias"])
    if kind == "linear":
        return library.Linear(h * w * c, out, bias=layer["bias"])
    if kind == "avgpool":
        return library.AvgPool2d(layer["kernel"], layer["stride"])
    raise SystemExit(f"wanted conv, norm, neuron, avgpool and linear, found {kind}")


def spikingjelly(batch, soft, backend):
    from spikingjelly.activation_based import functional, layer, neuron, surrogate
    spec, parts, flat = batch["spec"], [], False
    for entry in batch["layers"]:
        kind = entry["kind"]
        if kind == "neuron":
            parts.append(neuron.LIFNode(
                tau=1 / (1 - spec["decay"]), decay_input=False, v_threshold=1.0,
                v_reset=0.0, detach_reset=True,
                surrogate_function=surrogate.ATan(1 / spec["width"],
                                                  spiking=not soft)))
        elif kind == "norm":
            channels = entry["in"][2]
            parts.append(layer.SeqToANNContainer(torch.nn.BatchNorm1d(channels))
                         if flat else layer.BatchNorm2d(channels))
        else:
            if kind == "linear" and not flat:
                parts.append(layer.Flatten())
                flat = True
            parts.append(shared_part(layer, entry))
    network = torch.nn.Sequential(*parts)
    functional.set_step_mode(network, "m")
    if backend not in ("auto", "torch"):
        functional.set_backend(network, backend, neuron.LIFNode)

    def forward(x):
        functional.reset_net(network)
        return network(x.unsqueeze(0).repeat(batch["T"], *[1] * x.dim())).mean(0)

    return network, forward


# --- a variant of a peer -------------------------------------------------------

class Peer:
    """One network, set up once, whose steps are timed a round at a time."""

    def __init__(self, options, side, backend="", compiled="", precision="fp32",
                 channels_last=False):
        self.options, self.side, self.backend = options, side, backend
        self.compiled, self.precision = compiled, precision
        self.channels_last = channels_last
        self.times, self.note, self.loss, self.peak = [], "", "", ""

    def name(self):
        words = [self.side, self.backend, self.compiled and
                 f"compile={self.compiled}", self.precision,
                 self.channels_last and "channels_last"]
        return " ".join(word for word in words if word)

    def build(self, batch, soft=False):
        device = self.options.device
        if self.side == "pytorch":
            network = ByHand(batch, soft)
            forward = network
        else:
            network, forward = spikingjelly(batch, soft, self.backend)
        cpu.fill(torch, network, batch)
        network.to(device)
        self.x, self.labels = batch["x"].to(device), batch["labels"].to(device)
        if self.channels_last:
            network.to(memory_format=torch.channels_last)
            self.x = self.x.contiguous(memory_format=torch.channels_last)
        if self.compiled:
            forward = torch.compile(forward, mode=self.compiled)
        self.forward = forward
        self.optimizer = torch.optim.SGD(network.parameters(), lr=0.1,
                                         momentum=0.9, weight_decay=1e-4)

    def step(self):
        self.optimizer.zero_grad(set_to_none=True)
        with self.arithmetic():
            logits = self.forward(self.x)
        loss = torch.nn.functional.cross_entropy(logits.float(), self.labels)
        loss.backward()
        self.optimizer.step()
        return loss.detach()

    def arithmetic(self):
        torch.backends.cudnn.allow_tf32 = self.precision == "tf32"
        torch.backends.cuda.matmul.allow_tf32 = self.precision == "tf32"
        if self.precision == "bf16":
            return torch.autocast(self.options.device, dtype=torch.bfloat16)
        return contextlib.nullcontext()

    def start(self, batch):
        """First step and warm-up; what fails is noted, and is not timed."""
        on_gpu = self.options.device == "cuda"
        try:
            gc.collect()
            before = torch.cuda.memory_allocated() if on_gpu else 0
            if on_gpu:
                torch.cuda.reset_peak_memory_stats()
            self.build(batch)
            self.loss = self.step().item()
            for _ in range(self.options.warmup):
                self.step()
            if on_gpu:
                peak = torch.cuda.max_memory_allocated() - before
                self.peak = round(peak / 2 ** 20, 1)
        except Exception as error:  # pylint: disable=broad-except
            self.note = f"{type(error).__name__}: {error}".split("\n")[0][:150]
            self.forward = self.optimizer = None

    def round(self):
        for _ in range(self.options.steps):
            synchronize(self.options.device)
            start = time.perf_counter()
            self.step()
            synchronize(self.options.device)
            self.times.append(1e3 * (time.perf_counter() - start))

    def version(self):
        if self.side == "pytorch":
            return torch.__version__
        return f"{spikingjelly_version()} (torch {torch.__version__})"


def synchronize(device):
    if device == "cuda":
        torch.cuda.synchronize()


def spikingjelly_version():
    try:
        return importlib.metadata.version("spikingjelly")
    except importlib.metadata.PackageNotFoundError:
        return "unknown"


def backends():
    """SpikingJelly's, those that it chooses among by itself as `auto`."""
    if importlib.util.find_spec("spikingjelly") is None:
        return []
    if not spikingjelly_version().startswith("0."):
        return ["auto"]
    found = [name for name in ("triton", "cupy")
             if importlib.util.find_spec(name) is not None]
    return [*found, "torch"]


def peers(options):
    """The most telling first: time may end before the list does."""
    jelly = backends()
    best = jelly[0] if jelly else None

    def sj(backend, *rest):
        return [Peer(options, "spikingjelly", backend, *rest)] if backend else []

    def hand(*rest):
        return [Peer(options, "pytorch", "", *rest)]

    return [*sj(best), *hand(), *hand("reduce-overhead"), *sj(best, "", "bf16", True),
            *hand("reduce-overhead", "bf16", True), *hand("", "tf32"),
            *sj(best, "", "tf32"), *hand("default"), *sj(best, "", "fp32", True),
            *hand("", "bf16", True), *hand("", "fp32", True),
            *sj(jelly[-1] if jelly else None, "default"),
            *[peer for backend in jelly[1:] for peer in sj(backend)]]


# --- SURGE ---------------------------------------------------------------------

def memory_used():
    """MiB on the first GPU, by nvidia-smi; None where it does not say."""
    try:
        text = subprocess.run(["nvidia-smi", "--query-gpu=memory.used",
                               "--format=csv,noheader,nounits"],
                              capture_output=True, text=True, check=True).stdout
        return float(text.splitlines()[0])
    except (OSError, ValueError, IndexError, subprocess.CalledProcessError):
        return None


class Surge:
    side, backend, channels_last, precision = "surge", "", "", "fp32"

    def __init__(self, options, arguments, compiled):
        self.options, self.arguments, self.compiled = options, arguments, compiled
        self.times, self.note, self.loss, self.peak = [], "", "", ""

    def name(self):
        return f"surge {self.compiled}"

    def version(self):
        return cpu.surge_version(self.options.surge)

    def run(self, command, *arguments):
        o = self.options
        done = subprocess.run([o.surge, *command, *self.arguments, *arguments,
                               "--device", o.device], cwd=cpu.ROOT, text=True,
                              capture_output=True, check=False)
        if done.returncode:
            raise SystemExit(f"surge {' '.join(command)}: {done.stderr.strip()}")
        return done.stdout

    def round(self):
        before, most, ended = memory_used(), 0, threading.Event()

        def watch():
            nonlocal most
            while before is not None and not ended.wait(0.1):
                most = max(most, memory_used() or 0)

        watcher = threading.Thread(target=watch)
        watcher.start()
        extra = ["--no-graph"] if self.compiled == "no graph" else []
        text = self.run(["bench", "train"], "--warmup", str(self.options.warmup),
                        "--steps", str(self.options.steps), *extra)
        ended.set()
        watcher.join()
        row = list(csv.DictReader(text.strip().splitlines()[-2:]))[0]
        self.times.append([float(row[key]) for key in
                           ("median_ms", "min_ms", "max_ms")])
        if before is not None:
            self.peak = max(self.peak or 0, most - before)

    def gradients(self, path, soft):
        """The first batch with weights, for the peers, and its loss."""
        self.run(["grad"], "--out", path, *(["--soft"] if soft else []))
        return float(tensorfile.read(path)[0]["loss"][0])


# --- a network: checked, then timed in turns ------------------------------------

def check_smooth(options, batch, wanted, side, backend):
    """'' where the side's smooth twin has SURGE's loss, else why not."""
    peer = Peer(options, side, backend)
    try:
        peer.build(batch, soft=True)
        with peer.arithmetic():
            loss = torch.nn.functional.cross_entropy(peer.forward(peer.x),
                                                     peer.labels).item()
    except Exception as error:  # pylint: disable=broad-except
        return f"smooth twin: {type(error).__name__}: {error}".split("\n")[0][:150]
    print(f"smooth twin's loss, {side:12} {loss:.7f}, surge {wanted:.7f}")
    if abs(loss - wanted) <= SMOOTH_LIMIT * abs(wanted):
        return ""
    return f"another loss than surge's on the smooth twin: {loss:.7f}, {wanted:.7f}"


def prepare(options, network, folder):
    """Both variants of SURGE, and the peers that agree with it, started."""
    recipe, batch_size = NETWORKS[network]
    data = options.cifar if network == "cifarnet" else options.fashion
    arguments = [os.path.join(RECIPES, recipe), "-T", str(options.T), "--set",
                 f"train.batch={options.batch or batch_size}", "--set",
                 "surrogate.family=arctan", "--set", "surrogate.width=0.5"]
    arguments += ["--set", f"data.path={data}"] if data else []
    sides = [Surge(options, arguments, word) for word in ("graph", "no graph")]
    path = os.path.join(folder, "step.safetensors")
    wanted = sides[0].gradients(path, soft=True)
    batch, refused = cpu.load(path), {}
    for side, backend in (("pytorch", ""), ("spikingjelly", "torch")):
        refused[side] = check_smooth(options, batch, wanted, side, backend)
    for side in sides:
        side.loss = sides[0].gradients(path, soft=False) if not sides[0].loss \
            else sides[0].loss
    return sides, cpu.load(path), refused


def start_peers(options, batch, refused, end):
    started = []
    for peer in peers(options):
        peer.note = refused[peer.side]
        needed = COMPILE_SECONDS if peer.compiled else 0
        if not peer.note and time.monotonic() + needed > end:
            peer.note = "not run: no time left"
        if not peer.note:
            peer.start(batch)
        print(f"{peer.name()}: {peer.note or f'loss {peer.loss:.6f}'}", flush=True)
        started.append(peer)
    return started


def row_of(options, network, side, batch):
    times = side.times
    middle = low = high = rate = ""
    if times:
        if side.side == "surge":
            medians, lows, highs = zip(*times)
            middle, low, high = cpu.median(medians), min(lows), max(highs)
        else:
            middle, low, high = cpu.median(times), min(times), max(times)
        rate = f"{1e3 * batch / middle:.1f}"
        middle, low, high = (f"{value:.5g}" for value in (middle, low, high))
    rounds = len(times) if side.side == "surge" else len(times) // options.steps
    return [network, side.side, side.version(), side.backend, side.compiled,
            side.precision, side.channels_last, options.name, options.T, batch,
            rounds, options.steps, middle, low, high, rate, side.peak,
            f"{side.loss:.6f}" if side.loss != "" else "", side.note]


def measure(options, network, end, save):
    """Hands the rows of the table to `save`, after each round anew."""
    with tempfile.TemporaryDirectory() as folder:
        sides, batch, refused = prepare(options, network, folder)
    half = time.monotonic() + (end - time.monotonic()) * 0.6
    sides += start_peers(options, batch, refused, half)
    for number in range(options.rounds):
        if number and time.monotonic() > end:
            break
        for side in sides:
            if not side.note:
                side.round()
        save([row_of(options, network, side, len(batch["labels"]))
              for side in sides])
        print(f"{network}: round {number + 1} done", flush=True)


def write(path, rows):
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerows([COLUMNS, *rows])


def parse():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--surge", default=os.path.join(cpu.ROOT, "build-gpu", "surge"))
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
    parser.add_argument("--networks", nargs="+", choices=NETWORKS)
    parser.add_argument("--cifar", help="images for cifarnet")
    parser.add_argument("--fashion", help="folder of Fashion-MNIST")
    parser.add_argument("--T", type=int, default=4)
    parser.add_argument("--batch", type=int, help="default: 128 and 32")
    parser.add_argument("--warmup", type=int, default=10)
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=1200)
    parser.add_argument("--out", default="step_gpu.csv")
    return parser.parse_args()


def main():
    options = parse()
    options.surge, options.out = map(os.path.abspath, (options.surge, options.out))
    options.name = cpu.machine_name() if options.device == "cpu" \
        else torch.cuda.get_device_name()
    networks = options.networks or [n for n in NETWORKS
                                    if n != "cifarnet" or options.cifar]
    end, rows = time.monotonic() + options.seconds, []
    for index, network in enumerate(networks):
        share = (end - time.monotonic()) / (len(networks) - index)
        latest = []

        def save(table):
            latest[:] = table
            write(options.out, rows + table)

        measure(options, network, time.monotonic() + share, save)
        rows += latest
        if options.device == "cuda":
            gc.collect()
            torch.cuda.empty_cache()
    with open(options.out, encoding="utf-8") as file:
        print(file.read(), end="")


if __name__ == "__main__":
    main()
