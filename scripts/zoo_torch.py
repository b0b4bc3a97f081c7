#!/usr/bin/python3
"""Checks the networks of the zoo against PyTorch modules written from their papers.

    build/surge grad RECIPE --soft --out ARCH.safetensors
    build/surge train RECIPE --dry-run --set surrogate.width_rule=fixed > ARCH.plan
    scripts/zoo_torch.py ARCH.safetensors ARCH.plan ...

compare_torch.py rebuilds a network from the layers in the file, so it sees wrong
arithmetic and not wrong wiring. Here each network is an ordinary module that
knows nothing of SURGE's layer list; the file gives its parameters, in order, and
the loss and every gradient must agree to 1e-4 (smooth twin, float64). A plan's
number of trained values must be that of the module, and the module's, with the
paper's classes, the published one. Exit code 1 where one does not.

    scripts/zoo_torch.py --make-cifar10 FOLDER

makes files of CIFAR-10's sizes whose images are noise."""
import argparse
import os
import re
import sys

import numpy as np
import torch
from torch import nn

import torch_snn as snn
from compare_torch import File, Table


# --- parts, on [T, N, C, H, W] -----------------------------------------------

def over_images(function, x):
    return function(x.flatten(0, 1)).unflatten(0, x.shape[:2])


class Conv(nn.Conv2d):
    def __init__(self, inputs, outputs, kernel, stride=1):
        super().__init__(inputs, outputs, kernel, stride, kernel // 2, bias=False)

    def forward(self, x):
        return over_images(super().forward, x)


class Norm(nn.Module):
    """tdBN: statistics over T, N, H, W; the factor alpha*theta."""

    def __init__(self, spec, channels, alpha=1.0):
        super().__init__()
        self.factor = alpha * spec["v_threshold"]
        self.gamma = nn.Parameter(torch.ones(channels))
        self.beta = nn.Parameter(torch.zeros(channels))

    def forward(self, x):
        return over_images(lambda images: nn.functional.batch_norm(
            images, None, None, self.factor * self.gamma, self.beta, True), x)


class Neuron(nn.Module):
    def __init__(self, spec):
        super().__init__()
        self.spec = spec
        self.rho = nn.Parameter(torch.zeros(1))
        if spec["decay_learned"]:
            self.decay_logit = nn.Parameter(torch.zeros(1))

    def forward(self, x):
        d = torch.sigmoid(self.decay_logit) if self.spec["decay_learned"] else \
            torch.tensor(self.spec["decay"]).to(x)
        w = snn.widths(self.spec, self.rho, d, None)
        return torch.stack(snn.lif(x, self.spec, d, w, soft=True)["s"])


class MaxPool(nn.MaxPool2d):
    def forward(self, x):
        return over_images(super().forward, x)


class AvgPool(nn.AvgPool2d):
    def forward(self, x):
        return over_images(super().forward, x)


class GlobalPool(nn.Module):
    def forward(self, x):
        return x.mean((3, 4))


class Flatten(nn.Module):
    def forward(self, x):
        return x.flatten(2)


def conv_norm(spec, inputs, outputs, kernel, stride=1, alpha=1.0):
    return nn.Sequential(Conv(inputs, outputs, kernel, stride),
                         Norm(spec, outputs, alpha))


def conv_neuron(spec, inputs, outputs, kernel, stride=1):
    return nn.Sequential(*conv_norm(spec, inputs, outputs, kernel, stride),
                         Neuron(spec))


# --- chains ------------------------------------------------------------------

def vgg(spec, image, classes, channels, configuration):
    """`configuration`: as VGG files write it, one letter a convolution or pool.
    The last map is one pixel for 32x32 (five pools), W/16 wide with four."""
    layers, inputs, side = [], image[0], image[1]
    outputs = iter(channels)
    for letter in configuration:
        if letter == "c":
            width = next(outputs)
            layers.append(conv_neuron(spec, inputs, width, 3))
            inputs = width
        else:
            layers.append(AvgPool(2))
            side //= 2
    return nn.Sequential(*layers, Flatten(), nn.Linear(inputs * side ** 2, classes))


def cifarnet(spec, image, classes, channels, hidden):
    """Wu et al. (AAAI 2019), table 2: 128C3-256C3-AP2-512C3-AP2-1024C3-512C3-
    1024FC-512FC; hidden layers normed as SURGE has them."""
    a, b, c, d, e = channels
    f, g = hidden
    side = image[1] // 4

    class FlatNorm(Norm):
        def forward(self, x):
            return super().forward(x[..., None, None])[..., 0, 0]

    return nn.Sequential(
        conv_neuron(spec, image[0], a, 3), conv_neuron(spec, a, b, 3), AvgPool(2),
        conv_neuron(spec, b, c, 3), AvgPool(2), conv_neuron(spec, c, d, 3),
        conv_neuron(spec, d, e, 3), Flatten(),
        nn.Linear(e * side ** 2, f, bias=False), FlatNorm(spec, f), Neuron(spec),
        nn.Linear(f, g, bias=False), FlatNorm(spec, g), Neuron(spec),
        nn.Linear(g, classes))


def plif_cifar10(spec, image, outputs, channels, hidden):
    """Fang et al. (ICCV 2021), codes/models.py, Cifar10Net: {{c-BN-PLIF}x3-MP}x2-
    FC-PLIF-FC-PLIF; linear layers without bias."""
    layers, inputs = [], image[0]
    for i, width in enumerate(channels):
        layers.append(conv_neuron(spec, inputs, width, 3))
        inputs = width
        if i in (2, 5):
            layers.append(MaxPool(2))
    return nn.Sequential(
        *layers, Flatten(),
        nn.Linear(inputs * (image[1] // 4) ** 2, hidden[0], bias=False), Neuron(spec),
        nn.Linear(hidden[0], outputs, bias=False), Neuron(spec))


def plif_events(spec, image, outputs, channels, hidden):
    """The same, MNISTNet and the nets for event data: {c-BN-PLIF-MP}xn-..."""
    layers, inputs, side = [], image[0], image[1]
    for width in channels:
        layers += [conv_neuron(spec, inputs, width, 3), MaxPool(2)]
        inputs, side = width, side // 2
    return nn.Sequential(
        *layers, Flatten(), nn.Linear(inputs * side ** 2, hidden[0], bias=False),
        Neuron(spec), nn.Linear(hidden[0], outputs, bias=False), Neuron(spec))


# --- residual networks -------------------------------------------------------

class TdbnBlock(nn.Module):
    """Zheng et al. (AAAI 2021); alphas as example/example_model.py of
    github.com/thiswinex/STBP-simple has them."""
    expansion = 1

    def __init__(self, spec, inputs, planes, stride):
        super().__init__()
        half = 1 / 2 ** 0.5
        self.conv1 = conv_norm(spec, inputs, planes, 3, stride)
        self.spike1 = Neuron(spec)
        self.conv2 = conv_norm(spec, planes, planes, 3, alpha=half)
        self.downsample = nn.Identity()
        if stride != 1 or inputs != planes:
            self.downsample = conv_norm(spec, inputs, planes, 1, stride, alpha=half)
        self.spike2 = Neuron(spec)

    def forward(self, x):
        out = self.conv2(self.spike1(self.conv1(x)))
        return self.spike2(out + self.downsample(x))


class SewBlock(nn.Module):
    """Fang et al. (NeurIPS 2021), imagenet/sew_resnet.py, BasicBlock, ADD."""
    expansion = 1

    def __init__(self, spec, inputs, planes, stride):
        super().__init__()
        outputs = planes * self.expansion
        self.branch = self.make_branch(spec, inputs, planes, stride)
        self.downsample = nn.Identity()
        if stride != 1 or inputs != outputs:
            self.downsample = conv_neuron(spec, inputs, outputs, 1, stride)

    def make_branch(self, spec, inputs, planes, stride):
        return nn.Sequential(conv_neuron(spec, inputs, planes, 3, stride),
                             conv_neuron(spec, planes, planes, 3))

    def forward(self, x):
        return self.branch(x) + self.downsample(x)


class SewBottleneck(SewBlock):
    """The same file, Bottleneck: the 3x3 convolution is the strided one."""
    expansion = 4

    def make_branch(self, spec, inputs, planes, stride):
        return nn.Sequential(conv_neuron(spec, inputs, planes, 1),
                             conv_neuron(spec, planes, planes, 3, stride),
                             conv_neuron(spec, planes, 4 * planes, 1))


class MsBlock(nn.Module):
    """Hu et al. (2021), models/MS_ResNet.py, BasicBlock_18."""
    expansion = 1

    def __init__(self, spec, inputs, planes, stride):
        super().__init__()
        self.residual = nn.Sequential(
            Neuron(spec), conv_norm(spec, inputs, planes, 3, stride),
            Neuron(spec), conv_norm(spec, planes, planes, 3))
        self.shortcut = nn.Identity()
        if stride != 1 or inputs != planes:
            self.shortcut = conv_norm(spec, inputs, planes, 1, stride)

    def forward(self, x):
        return self.residual(x) + self.shortcut(x)


def stages(block, spec, channels, blocks, first_stride):
    layers, inputs = [], channels[0]
    for i, (planes, count) in enumerate(zip(channels, blocks)):
        for j in range(count):
            stride = 1 if j else 2 if i else first_stride
            layers.append(block(spec, inputs, planes, stride))
            inputs = planes * block.expansion
    return nn.Sequential(*layers), inputs


def cifar_resnet(blocks):
    def make(spec, image, classes, channels, hidden):
        body, features = stages(TdbnBlock, spec, channels, blocks, 1)
        head = [nn.Linear(features, classes)]
        if hidden:
            head = [nn.Linear(features, hidden[0]), Neuron(spec),
                    nn.Linear(hidden[0], classes)]
        return nn.Sequential(conv_neuron(spec, image[0], channels[0], 3), body,
                             GlobalPool(), *head)
    return make


def sew_resnet(block, blocks):
    def make(spec, image, classes, channels, hidden):
        body, features = stages(block, spec, channels, blocks, 1)
        return nn.Sequential(conv_neuron(spec, image[0], channels[0], 7, 2),
                             MaxPool(3, 2, 1), body, GlobalPool(),
                             nn.Linear(features, classes))
    return make


def ms_resnet(blocks):
    """Its stem is not pooled: the first stage halves the map."""
    def make(spec, image, classes, channels, hidden):
        body, features = stages(MsBlock, spec, channels, blocks, 2)
        return nn.Sequential(conv_norm(spec, image[0], channels[0], 7, 2), body,
                             Neuron(spec), GlobalPool(), nn.Linear(features, classes))
    return make


def vgg_of(configuration):
    return lambda spec, image, classes, channels, hidden: vgg(
        spec, image, classes, channels, configuration)


# --- the zoo -----------------------------------------------------------------

VGG11 = [64, 128, 256, 256, 512, 512, 512, 512]
VGG16 = [64, 64, 128, 128, 256, 256, 256] + [512] * 6
STAGES, IMAGENET = [128, 256, 512], [64, 128, 256, 512]
CIFAR, DVS48, PHOTO = (3, 32), (2, 48), (3, 224)

# arch: how to make it; then of each published count: image, outputs, channels,
# hidden, the count (a float: in millions, as rounded there) and its source.
NETWORKS = {
    "cifarnet": (cifarnet, []),
    # github.com/kuangliu/pytorch-cifar, whose convolutions have biases besides
    "vgg11": (vgg_of("cpcpccpccpccp"), [
        (CIFAR, 10, VGG11, [], 9231114 - sum(VGG11), "kuangliu's less biases")]),
    "vgg16": (vgg_of("ccpccpcccpcccpcccp"), [
        (CIFAR, 10, VGG16, [], 14728266 - sum(VGG16), "kuangliu's less biases")]),
    "vggsnn": (vgg_of("ccpccpccpccp"), [
        (DVS48, 10, VGG11, [], 9271498 - sum(VGG11), "TET's code less biases")]),
    "plif_net": (plif_cifar10, []),
    "plif_events": (plif_events, []),
    "resnet19": (cifar_resnet([3, 3, 2]), [
        (CIFAR, 10, STAGES, [], 12.57, "one linear layer"),
        (CIFAR, 10, STAGES, [128], 12.63, "128 hidden units"),
        (CIFAR, 10, STAGES, [256], 12.70, "256 hidden units")]),
    # He et al. (CVPR 2016), table 6, with shortcuts free of parameters
    "resnet20": (cifar_resnet([3, 3, 3]), [
        (CIFAR, 10, [16, 32, 64], [], 0.27, "He 2016")]),
    # torchvision's ResNets of the same depth
    "sew_resnet18": (sew_resnet(SewBlock, [2, 2, 2, 2]), [
        (PHOTO, 1000, IMAGENET, [], 11689512, "torchvision")]),
    "sew_resnet34": (sew_resnet(SewBlock, [3, 4, 6, 3]), [
        (PHOTO, 1000, IMAGENET, [], 21797672, "torchvision")]),
    "sew_resnet50": (sew_resnet(SewBottleneck, [3, 4, 6, 3]), [
        (PHOTO, 1000, IMAGENET, [], 25557032, "torchvision")]),
    # and the 1x1 convolution and norm of the first stage, which halves its map
    "ms_resnet18": (ms_resnet([2, 2, 2, 2]), [
        (PHOTO, 1000, IMAGENET, [], 11689512 + 4224, "torchvision + shortcut")]),
    "ms_resnet34": (ms_resnet([3, 4, 6, 3]), [
        (PHOTO, 1000, IMAGENET, [], 21797672 + 4224, "torchvision + shortcut")]),
}


def integers(text, key):
    """A list of model's in the effective recipe."""
    return [int(n) for n in re.findall(r"\d+", re.search(
        rf"^  {key}: \[(.*)\]", text, re.M).group(1))]


def arch_of(recipe):
    arch = re.search(r"^  arch: (\w+)", recipe, re.M).group(1)
    few = len(integers(recipe, "channels")) < 6
    return "plif_events" if arch == "plif_net" and few else arch


# --- a step ------------------------------------------------------------------

def tie(file, net):
    """(name in the file, parameter, from the module's axes to the file's), by
    the order of each kind of layer in both."""
    tied = []
    for kinds, types in ((("conv", "linear"), (Conv, nn.Linear)),
                         (("norm",), (Norm,)), (("neuron",), (Neuron,))):
        layers = [layer for layer in file.layers if layer["kind"] in kinds]
        modules = [m for m in net.modules() if isinstance(m, types)]
        if len(layers) != len(modules):
            raise SystemExit(f"{'/'.join(kinds)}: wanted {len(modules)} as the module "
                             f"has, found {len(layers)} in the file")
        for layer, module in zip(layers, modules):
            for key, parameter in module.named_parameters(recurse=False):
                tied.append((f"{layer['name']}.{key}", layer, parameter))
    return tied


def to_module(layer, value, parameter):
    """Weights are [K, H, W, C] in the file; channels come before pixels in a
    module."""
    if value.dim() == 4:
        value = value.permute(0, 3, 1, 2)
    if layer["kind"] == "linear" and value.dim() == 4:
        value = value.flatten(1)
    if value.shape != parameter.shape:
        raise SystemExit(f"{layer['name']}: wanted {tuple(parameter.shape)}, found "
                         f"{tuple(value.shape)}")
    return value


def compare_step(table, file):
    recipe = file.recipe
    spec = next(l for l in file.layers if l["kind"] == "neuron")["neuron"]
    image = file.tensor("input").permute(0, 3, 1, 2)
    outputs = file.loss["classes"] * file.loss["vote"]
    make, _ = NETWORKS[arch_of(recipe)]
    net = make(spec, image.shape[1:3], outputs, integers(recipe, "channels"),
               integers(recipe, "hidden")).double()
    tied = tie(file, net)
    with torch.no_grad():
        for name, layer, parameter in tied:
            parameter.copy_(to_module(layer, file.tensor(name), parameter))
    logits = net(image.expand(file.T, *image.shape))
    loss = snn.loss(logits, file.tensor("labels"), **file.loss)
    gradients = torch.autograd.grad(loss, [parameter for _, _, parameter in tied])
    table.scalar("loss", file.tensor("loss"), loss.detach())
    table.array("logits", file.tensor("logits"), logits.detach())
    rows = {}
    for (name, layer, parameter), gradient in zip(tied, gradients):
        surge = to_module(layer, file.tensor("grad." + name), parameter)
        row = "neurons" if layer["kind"] == "neuron" else layer["name"]
        rows.setdefault(row, []).append((surge.flatten(), gradient.flatten()))
    for row, pairs in rows.items():
        table.array("grad." + row, *(torch.cat(side) for side in zip(*pairs)))
    extra = set(file.starting_with("grad.")) - {name for name, _, _ in tied}
    if extra:
        raise SystemExit(f"wanted no parameters besides, found {sorted(extra)}")


# --- counts ------------------------------------------------------------------

PLAIN = {"v_threshold": 1.0, "decay_learned": False}


def count(make, *sizes):
    """Without widths, which no paper counts."""
    net = make(PLAIN, *sizes)
    neurons = sum(isinstance(m, Neuron) for m in net.modules())
    return sum(p.numel() for p in net.parameters()) - neurons


def compare_plan(table, path):
    """The published numbers, and that of the plan: FILE is ARCH.plan, planned for
    CIFAR-10 with model.channels and model.hidden of the last published entry."""
    make, published = NETWORKS[os.path.basename(path)[:-len(".plan")]]
    for *sizes, wanted, source in published:
        found = count(make, *sizes)
        if isinstance(wanted, float):
            found = round(found / 1e6, 2)
        table.row(f"parameters, {source}", found, wanted, abs(found - wanted), 0)
    with open(path, encoding="utf-8") as file:
        planned = int(re.search(r"^(\d+) trained values", file.read(), re.M).group(1))
    _, _, channels, hidden, _, _ = published[-1]
    here = count(make, CIFAR, 10, channels, hidden)
    table.row("parameters, planned for CIFAR-10", planned, here, abs(planned - here), 0)


# --- files of CIFAR-10's sizes -----------------------------------------------

def make_cifar10(folder):
    """One file of 10,000 records by six names."""
    os.makedirs(folder, exist_ok=True)
    records = np.random.default_rng(1).integers(0, 256, (10000, 3073), dtype=np.uint8)
    records[:, 0] %= 10
    first = os.path.join(folder, "test_batch.bin")
    records.tofile(first)
    for i in range(1, 6):
        os.link(first, os.path.join(folder, f"data_batch_{i}.bin"))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("files", nargs="*", metavar="FILE")
    parser.add_argument("--make-cifar10", metavar="FOLDER")
    arguments = parser.parse_args()
    if arguments.make_cifar10:
        make_cifar10(arguments.make_cifar10)
    failed = 0
    for path in arguments.files:
        print(f"\n{os.path.basename(path)}:")
        table = Table()
        if path.endswith(".plan"):
            compare_plan(table, path)
        else:
            compare_step(table, File(path))
        print("largest difference: {} {:.2e}".format(*table.worst))
        failed += table.failed
    print(f"\n{failed} rows exceed their limit" if failed else "\nall rows agree")
    return failed > 0


if __name__ == "__main__":
    sys.exit(main())
