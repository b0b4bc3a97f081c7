#!/usr/bin/env python3
"""Times one training step of the same network in SURGE, SpikingJelly, PyTorch.

    benchmarks/peers/step.py [--threads 2] [--T 4] [--batch 128] [--steps 10]
    benchmarks/peers/step.py --network resnet19 --T 2 --batch 32 --data FOLDER

Networks, with batch norm over T*N and a LIF neuron (arctan surrogate, hard
detached reset, no decayed input) behind each convolution, SGD with momentum:

  step      32C3-P2-64C3-P2-128C3-FC on 28x28x1, average pooling (step.yaml)
  resnet19  tdBN's, 12.6 M parameters, on CIFAR-10's files in FOLDER
            (step_resnet19.yaml); not written by hand in PyTorch

The sides:

  surge         build/surge bench train
  spikingjelly  its torch backend in multi-step mode, the image repeated T times
                as its examples have it (CuPy and Triton need a GPU)
  pytorch       a loop over T by hand, with SURGE's shortcut: the first
                convolution and norm see a static image once

First all sides compute the loss of the same batch with the same weights, or the
script stops: with hard spikes, or with the soft ones of resnet19's smooth twin,
in whose 19 layers one spike that rounding flips flips others. Then they run in turns, A B C A B C, each round a process of its
own whose peak memory the kernel reports. SURGE's peak includes the data set.
Needs the packages python3-torch, python3-numpy and python3-venv.
"""
import argparse
import collections
import csv
import json
import os
import platform
import re
import subprocess
import sys
import tempfile
import time

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
SYSTEM_PYTHON = "/usr/bin/python3"  # the one that python3-torch belongs to
VENV = os.path.join(ROOT, "build-peers")
SPIKINGJELLY = "spikingjelly==0.0.0.0.14"  # the last one for torch before 2
KINDS = ["conv", "norm", "neuron", "avgpool"] * 2 + \
        ["conv", "norm", "neuron", "linear"]
Network = collections.namedtuple("Network", "recipe peers soft")
NETWORKS = {
    "step": Network("step.yaml", ("spikingjelly", "pytorch"), False),
    "resnet19": Network("step_resnet19.yaml", ("spikingjelly",), True)}
LOSS_LIMIT = 1e-3  # relative: a hard spike at the threshold may fall either way


# --- the peers, in the virtual environment -----------------------------------

def load(path):
    """The batch, the layers, the weights in PyTorch's order by kind, and the
    constants that all neurons share."""
    sys.path.insert(0, os.path.join(ROOT, "scripts"))
    import tensorfile
    import torch
    arrays, meta = tensorfile.read(path)
    layers = json.loads(meta["layers"])
    for layer in layers:
        layer["bias"] = layer["name"] + ".bias" in arrays
    spec = next(layer["neuron"] for layer in layers if layer["kind"] == "neuron")
    wanted = {"family": "arctan", "reset": "hard", "detach_reset": True,
              "decay_input": False, "decay_learned": False, "v_reset": 0,
              "v_threshold": 1}
    if any(spec[key] != value for key, value in wanted.items()):
        raise SystemExit(f"{path}: wanted a neuron with {wanted}, found {spec}")

    def tensor(name):
        return torch.from_numpy(arrays[name].copy())

    names = {kind: [layer["name"] for layer in layers if layer["kind"] == kind]
             for kind in ("conv", "norm", "linear")}
    return {
        "x": tensor("input").permute(0, 3, 1, 2).contiguous(),
        "labels": tensor("labels").long(), "T": int(meta["T"]), "spec": spec,
        "layers": layers,
        "conv": [tensor(n + ".weight").permute(0, 3, 1, 2).contiguous()
                 for n in names["conv"]],
        "gamma": [tensor(n + ".gamma") for n in names["norm"]],
        "beta": [tensor(n + ".beta") for n in names["norm"]],
        "linear": [tensor(n + ".weight").permute(0, 3, 1, 2).flatten(1)
                   .contiguous() for n in names["linear"]],
        "bias": [tensor(layer["name"] + ".bias") if layer["bias"] else None
                 for layer in layers if layer["kind"] == "linear"],
    }


def fill(torch, network, batch):
    """Puts the file's weights into the modules, kind by kind, in order."""
    def of(*kinds):
        return [m for m in network.modules() if isinstance(m, kinds)]

    with torch.no_grad():
        for module, weight in zip(of(torch.nn.Conv2d), batch["conv"]):
            module.weight.copy_(weight)
        for module, gamma, beta in zip(
                of(torch.nn.BatchNorm1d, torch.nn.BatchNorm2d),
                batch["gamma"], batch["beta"]):
            module.weight.copy_(gamma * getattr(module, "factor", 1))
            module.bias.copy_(beta)
        for module, weight, bias in zip(of(torch.nn.Linear), batch["linear"],
                                        batch["bias"]):
            module.weight.copy_(weight)
            if bias is not None:
                module.bias.copy_(bias)


class SpikingJelly:
    """Its layers for a batch's neurons."""

    def __init__(self, spec, soft):
        from spikingjelly.activation_based import layer, neuron, surrogate
        self.layer, self.neuron, self.surrogate = layer, neuron, surrogate
        self.spec, self.soft = spec, soft

    def lif(self):
        spec = self.spec
        return self.neuron.LIFNode(
            tau=1 / (1 - spec["decay"]), decay_input=False, v_threshold=1.0,
            v_reset=0.0, detach_reset=True,
            surrogate_function=self.surrogate.ATan(1 / spec["width"],
                                                   spiking=not self.soft))

    def conv_norm(self, inputs, outputs, kernel=3, stride=1):
        return [self.layer.Conv2d(inputs, outputs, kernel, stride, kernel // 2,
                                  bias=False), self.layer.BatchNorm2d(outputs)]

    def convnet(self, torch, batch):
        modules, channels = [], 1
        for i, weight in enumerate(batch["conv"]):
            modules += [*self.conv_norm(channels, weight.shape[0]), self.lif()]
            modules += [self.layer.AvgPool2d(2, 2)] if i < 2 else []
            channels = weight.shape[0]
        outputs, features = batch["linear"][0].shape
        return torch.nn.Sequential(*modules, self.layer.Flatten(),
                                   self.layer.Linear(features, outputs))

    def resnet19(self, torch, batch):
        """Zheng 2021: added before the neuron, 1/sqrt(2) in each branch's norm."""
        sj = self

        class Block(torch.nn.Module):
            def __init__(self, inputs, planes, stride):
                super().__init__()
                self.branch = torch.nn.Sequential(
                    *sj.conv_norm(inputs, planes, stride=stride), sj.lif(),
                    *sj.conv_norm(planes, planes))
                self.shortcut = torch.nn.Sequential(
                    *(sj.conv_norm(inputs, planes, 1, stride)
                      if stride > 1 or inputs != planes else []))
                self.fire = sj.lif()
                for norm in (self.branch[-1], *self.shortcut[1:]):
                    norm.factor = 2 ** -0.5

            def forward(self, x):
                return self.fire(self.branch(x) + self.shortcut(x))

        modules, inputs = [*self.conv_norm(3, 128), self.lif()], 128
        for planes, blocks in ((128, 3), (256, 3), (512, 2)):
            for i in range(blocks):
                modules.append(Block(inputs, planes, 1 if i or planes == 128 else 2))
                inputs = planes
        return torch.nn.Sequential(
            *modules, self.layer.AdaptiveAvgPool2d(1), self.layer.Flatten(),
            self.layer.Linear(inputs, batch["linear"][0].shape[0]))


def spikingjelly(torch, batch, network, soft):
    """A function from images to the mean logits, and the parameters."""
    from spikingjelly.activation_based import functional
    make = {"step": SpikingJelly.convnet, "resnet19": SpikingJelly.resnet19}
    model = make[network](SpikingJelly(batch["spec"], soft), torch, batch)
    functional.set_step_mode(model, "m")
    fill(torch, model, batch)

    def forward(x):
        functional.reset_net(model)
        return model(x.unsqueeze(0).repeat(batch["T"], 1, 1, 1, 1)).mean(0)

    return forward, model.parameters()


def pytorch(torch, batch, *_):
    import torch_snn
    if [layer["kind"] for layer in batch["layers"]] != KINDS:
        raise SystemExit(f"step.yaml: wanted layers {KINDS}")
    spec, T, F = batch["spec"], batch["T"], torch.nn.functional
    width = torch.tensor(spec["width"])
    convs = [torch.nn.Conv2d(w.shape[1], w.shape[0], 3, padding=1, bias=False)
             for w in batch["conv"]]
    norms = [torch.nn.BatchNorm2d(w.shape[0]) for w in batch["conv"]]
    outputs, features = batch["linear"][0].shape
    linear = torch.nn.Linear(features, outputs)
    network = torch.nn.ModuleList([*convs, *norms, linear])
    fill(torch, network, batch)

    def lif(a):
        v, spikes = torch.zeros_like(a[0]), []
        for current in a:
            u = spec["decay"] * v + current
            s = torch_snn.HardSpike.apply(u - 1.0, width, "arctan")
            v = u * (1 - s.detach())
            spikes.append(s)
        return torch.cat(spikes)

    def forward(x):
        a = norms[0](convs[0](x)).expand(T, -1, -1, -1, -1)
        for i in (1, 2):
            s = F.avg_pool2d(lif(a), 2)
            a = norms[i](convs[i](s)).unflatten(0, (T, -1))
        return linear(lif(a).flatten(1)).unflatten(0, (T, -1)).mean(0)

    return forward, network.parameters()


def child(options):
    """Prints {"loss": of the first step, "ms": [...]} as JSON."""
    import torch
    torch.set_num_threads(options.threads)
    batch = load(options.file)
    side = {"spikingjelly": spikingjelly, "pytorch": pytorch}[options.child]
    forward, parameters = side(torch, batch, options.network, options.soft)
    optimizer = torch.optim.SGD(parameters, lr=0.1, momentum=0.9,
                                weight_decay=1e-4)
    first, times = None, []
    for _ in range(options.warmup + options.steps):
        start = time.perf_counter()
        optimizer.zero_grad(set_to_none=True)
        loss = torch.nn.functional.cross_entropy(forward(batch["x"]),
                                                 batch["labels"])
        loss.backward()
        optimizer.step()
        first = loss.item() if first is None else first
        times.append(1e3 * (time.perf_counter() - start))
    print(json.dumps({"loss": first, "ms": times[options.warmup:]}))


# --- the parent --------------------------------------------------------------

def make_environment():
    """SpikingJelly beside the system's PyTorch."""
    python = os.path.join(VENV, "bin", "python")
    if not os.path.exists(python):
        subprocess.run([SYSTEM_PYTHON, "-m", "venv", "--system-site-packages",
                        VENV], check=True)
    probe = [python, "-c", "import torch, spikingjelly.activation_based"]
    if subprocess.run(probe, capture_output=True, check=False).returncode:
        subprocess.run([python, "-m", "pip", "install", "-q", "--no-deps",
                        SPIKINGJELLY], check=True)
    return python


def run(command, threads):
    """Output and peak memory (MiB) of a process; stops where it fails."""
    environment = dict(os.environ, OMP_NUM_THREADS=str(threads),
                       MKL_NUM_THREADS=str(threads))
    with tempfile.TemporaryFile("w+") as output:
        process = subprocess.Popen(command, stdout=output, env=environment,
                                   cwd=ROOT)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        text = output.read()
    if process.returncode:
        raise SystemExit(f"{' '.join(command)}: exit code {process.returncode}")
    return text, usage.ru_maxrss / 1024


def median(values):
    ordered, half = sorted(values), len(values) // 2
    return (ordered[half] + ordered[-half - 1]) / 2


class Sides:
    """One round of each side: {median, min, max, rss, library}."""

    def __init__(self, options, python, path):
        self.options, self.python, self.path = options, python, path
        self.network = NETWORKS[options.network]
        self.recipe = os.path.join(ROOT, "benchmarks", "recipes",
                                   self.network.recipe)
        # SpikingJelly's usual surrogate: ATan with alpha 2.
        self.overrides = ["--set", f"T={options.T}",
                          "--set", f"train.batch={options.batch}",
                          "--set", "surrogate.family=arctan",
                          "--set", "surrogate.width=0.5",
                          *(["--set", f"data.path={options.data}"]
                            if options.data else [])]

    def surge(self):
        o = self.options
        text, rss = run([o.surge, "bench", "train", self.recipe, "--warmup",
                         str(o.warmup), "--steps", str(o.steps), "--threads",
                         str(o.threads), *self.overrides], o.threads)
        row = list(csv.DictReader(text.strip().splitlines()[-2:]))[0]
        return {"median": float(row["median_ms"]), "min": float(row["min_ms"]),
                "max": float(row["max_ms"]), "rss": rss,
                "library": float(row["library_ms"])}

    def peer(self, side, warmup, steps, *flags):
        """What the child says, and its peak memory."""
        o = self.options
        text, rss = run([self.python, os.path.abspath(__file__), "--child", side,
                         "--network", o.network, "--file", self.path,
                         "--threads", str(o.threads), "--warmup", str(warmup),
                         "--steps", str(steps), *flags], o.threads)
        return json.loads(text), rss

    def time(self, side):
        said, rss = self.peer(side, self.options.warmup, self.options.steps)
        times = said["ms"]
        return {"median": median(times), "min": min(times), "max": max(times),
                "rss": rss, "library": ""}

    def once(self, side):
        return self.surge() if side == "surge" else self.time(side)

    def losses(self):
        """The first batch's loss on every side, or the end of the script."""
        o, soft = self.options, ["--soft"] if self.network.soft else []
        run([o.surge, "grad", self.recipe, "--out", self.path, "--threads",
             str(o.threads), *soft, *self.overrides], o.threads)
        sys.path.insert(0, os.path.join(ROOT, "scripts"))
        program = "import sys; sys.path.insert(0, sys.argv[1]); import tensorfile; " \
                  "print(tensorfile.read(sys.argv[2])[0]['loss'][0])"
        text, _ = run([self.python, "-c", program, os.path.join(ROOT, "scripts"),
                       self.path], o.threads)
        losses = {"surge": float(text)}
        for side in self.network.peers:
            losses[side] = self.peer(side, 1, 0, *soft)[0]["loss"]
        for side, loss in losses.items():
            print(f"loss of the first batch, {side:12} {loss:.7f}")
            if not abs(loss - losses["surge"]) <= LOSS_LIMIT * losses["surge"]:
                raise SystemExit(f"{side} computes another loss than surge")
        return losses


def surge_version(surge):
    found = re.search(r"SURGE ([0-9.]+[0-9])", run([surge, "help"], 1)[0])
    return found.group(1) if found else "unknown"


def versions(python, surge):
    program = "import torch, importlib.metadata as m; " \
              "print(torch.__version__, m.version('spikingjelly'))"
    torch_version, spikingjelly_version = run([python, "-c", program], 1)[0].split()
    return {"surge": surge_version(surge),
            "spikingjelly": f"{spikingjelly_version} (torch {torch_version})",
            "pytorch": torch_version}


def machine_name():
    """The processor's model, as lscpu has it."""
    text = subprocess.run(["lscpu"], capture_output=True, text=True, check=True,
                          env=dict(os.environ, LC_ALL="C")).stdout
    found = re.search(r"Model name:\s*(.+)", text)
    return found.group(1).strip() if found else platform.machine()


def write_table(options, rounds, losses, names):
    machine = machine_name()
    slug = re.sub(r"[^A-Za-z0-9]+", "_", machine).strip("_")
    path = os.path.join(ROOT, "benchmarks", "results", f"{options.network}_{slug}.csv")
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["side", "version", "machine", "threads", "T", "batch",
                         "rounds", "steps", "median_ms", "min_ms", "max_ms",
                         "samples_per_s", "peak_rss_mb", "library_ms", "loss"])
        for side, results in rounds.items():
            middle = median([r["median"] for r in results])
            library = [r["library"] for r in results if r["library"] != ""]
            writer.writerow([
                side, names[side], machine, options.threads, options.T,
                options.batch, options.rounds, options.steps, f"{middle:.5g}",
                f"{min(r['min'] for r in results):.5g}",
                f"{max(r['max'] for r in results):.5g}",
                f"{1e3 * options.batch / middle:.1f}",
                f"{max(r['rss'] for r in results):.1f}",
                f"{median(library):.5g}" if library else "",
                f"{losses[side]:.6f}"])
    with open(path, encoding="utf-8") as file:
        print(file.read(), end="")
    print(f"written to {os.path.relpath(path, ROOT)}")


def parse():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--network", choices=list(NETWORKS), default="step")
    parser.add_argument("--data", help="data.path of the recipe")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--T", type=int, default=4)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--warmup", type=int, default=2)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--surge", default=os.path.join(ROOT, "build", "surge"))
    parser.add_argument("--child", choices=["spikingjelly", "pytorch"],
                        help=argparse.SUPPRESS)
    parser.add_argument("--file", help=argparse.SUPPRESS)
    parser.add_argument("--soft", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args()


def main():
    options = parse()
    if options.child:
        child(options)
        return
    python = make_environment()
    with tempfile.TemporaryDirectory() as folder:
        sides = Sides(options, python, os.path.join(folder, "step.safetensors"))
        losses = sides.losses()
        rounds = {side: [] for side in ("surge", *sides.network.peers)}
        for number in range(options.rounds):
            for side, results in rounds.items():
                results.append(sides.once(side))
                print(f"round {number + 1}, {side:12} "
                      f"{results[-1]['median']:9.2f} ms a step")
        write_table(options, rounds, losses, versions(python, options.surge))


if __name__ == "__main__":
    main()
