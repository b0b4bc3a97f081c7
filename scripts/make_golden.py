#!/usr/bin/python3
"""Writes tests/golden/*.safetensors with PyTorch, in double precision, and with
Pillow (images).

    scripts/make_golden.py            writes the files
    scripts/make_golden.py --check    fails where the files say something else

Inputs are float32 numbers, so that an op starts from the same values; results
are float64. Cases are drawn again until every decision (threshold, window,
clip) is further from its edge than float32's rounding can reach."""
import argparse
import io
import itertools
import math
import os
import sys
import zlib

import numpy as np
import torch
from PIL import Image, ImageEnhance, ImageOps

import tensorfile
import torch_snn as snn

FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)),
                      "..", "tests", "golden")
MARGIN = 1e-3


def single(array):
    return np.asarray(array, dtype=np.float32)


def single_value(value):
    """The float32 nearest to a constant that the ops take as float."""
    return float(np.float32(value))


def double(array):
    """A float32 array as a float64 tensor: exactly the same numbers."""
    return torch.from_numpy(np.asarray(array, dtype=np.float64))


def leaf(array):
    return double(array).requires_grad_(True)


# --- neuron: method, sections 1 and 2 ---------------------------------------

def neuron_case(spec, x32, gs32, rho32, p32):
    """Everything of one case, or None where a decision is too close."""
    x, rho, p = leaf(x32), leaf(rho32), leaf(p32)
    d = torch.sigmoid(p)
    trace = snn.lif(x, spec, d, snn.widths(spec, rho, d, None))
    for name in "usv":
        for value in trace[name]:
            value.retain_grad()
    sum((s * g).sum() for s, g in zip(trace["s"], double(gs32))).backward()
    u, s = torch.stack(trace["u"]).detach(), torch.stack(trace["s"]).detach()
    distance = (u - spec["v_threshold"]).abs()
    edge = (distance - snn.window(spec["family"], rho.exp().detach())).abs()
    if min(distance.min(), edge.min()) < MARGIN:
        return None

    def gradients(name):
        return np.stack([np.zeros(x32.shape[1:]) if v.grad is None
                         else v.grad.numpy() for v in trace[name]])

    return {"u": u.numpy(), "s": s.numpy(), "delta": gradients("s"),
            "gu": gradients("u"), "gv": gradients("v"),
            "dx": x.grad.numpy(), "drho": rho.grad.numpy(), "dp": p.grad.numpy()}


def neuron_cases(random, shape):
    file = {"x": single(random.uniform(-0.5, 2.5, shape)),
            "gs": single(random.normal(size=shape)),
            "rho": single([np.log(0.7)]), "p": single([0.4])}
    for family, reset, detach, scaled in itertools.product(
            snn.FAMILIES, ("hard", "soft"), (False, True), (False, True)):
        spec = {"family": family, "reset": reset, "detach_reset": detach,
                "decay_input": scaled, "width_rule": "learned",
                "v_threshold": 1.0, "v_reset": -0.25}
        case = neuron_case(spec, file["x"], file["gs"], file["rho"], file["p"])
        if case is None:
            return None
        name = ".".join((family, reset, "detached" if detach else "attached",
                         "scaled" if scaled else "plain"))
        file.update({f"{name}.{key}": value for key, value in case.items()})
    return file


def neuron():
    for seed in itertools.count():
        file = neuron_cases(np.random.RandomState(seed), (6, 7))
        if file is not None:
            return file


# --- norm: method, section 4 ------------------------------------------------

def norm_case(file, kind, static):
    """a and all gradients; PyTorch sees a static z repeated T times."""
    z = leaf(file["z"][:1] if static else file["z"])
    gamma, beta, p = leaf(file["gamma"]), leaf(file["beta"]), leaf(file["p"])
    T, C = file["z"].shape[0], file["z"].shape[-1]
    mean, var = double(file["running_mean"]).clone(), \
        double(file["running_var"]).clone()
    alpha_theta = 1.0 if kind == "bn" else float(file["alpha_theta"][0])
    images = z.expand(T, *z.shape[1:]).reshape(-1, C)
    a = torch.nn.functional.batch_norm(images, mean, var, alpha_theta * gamma,
                                       beta, True, single_value(0.1),
                                       single_value(1e-5))
    a = a.reshape(file["z"].shape)
    if kind == "tebn":
        a = a * p.view(T, 1, 1, 1, 1)
    (a * double(file["ga"])).sum().backward()
    case = {"a": a.detach(), "running_mean": mean, "running_var": var,
            "dz": z.grad, "dgamma": gamma.grad, "dbeta": beta.grad}
    if kind == "tebn":
        case["dp"] = p.grad
    return {key: value.numpy() for key, value in case.items()}


def norm():
    random = np.random.RandomState(1)
    shape = (3, 2, 2, 3, 3)  # T N H W C
    spread = [1.5, 0.5, 0.02]  # the last: small enough that eps shows
    file = {"z": single(random.normal(0.2, 1, shape) * spread),
            "ga": single(random.normal(size=shape)),
            "gamma": single(random.uniform(0.5, 1.5, 3)),
            "beta": single(random.normal(size=3)),
            "p": single(random.uniform(0.5, 1.5, 3)),
            "running_mean": single(random.normal(size=3)),
            "running_var": single(random.uniform(0.5, 2, 3)),
            "alpha_theta": single([0.70710678])}
    cases = {}
    for kind, static in itertools.product(("tdbn", "bn", "tebn"), (False, True)):
        case = norm_case(file, kind, static)
        name = f"{kind}.{'static' if static else 'moving'}"
        cases.update({f"{name}.{key}": value for key, value in case.items()})
    return {**file, **cases}


# --- PDA: method, section 3 -------------------------------------------------

PDA_CASES = {
    "moment": {},
    "moment_channel": {"pda_granularity": "channel"},
    "moment_target": {"pda_mean": 0.75, "pda_std": 0.5},
    **{f"quantization_{family}": {"pda": "quantization", "family": family}
       for family in snn.FAMILIES},
}


def pda_case(options, x32, w):
    """D, dD/dx through BPTT, u; for the quantization kind also p = S_w(u-1)."""
    spec = {"family": "rectangular", "reset": "hard", "detach_reset": True,
            "decay_input": False, "v_threshold": 1.0, "v_reset": 0.0,
            "pda": "moment", "pda_granularity": "layer", "pda_mean": 0.0,
            "pda_std": 0.0, "pda_epsilon": single_value(0.05), **options}
    x, d = leaf(x32), torch.tensor(0.25, dtype=torch.float64)
    width = (torch.tensor(w, dtype=torch.float64),) * 2
    trace = snn.lif(x, spec, d, width)
    u = torch.stack(trace["u"])
    D = snn.pda(u, spec, d, width, channel_dim=2)
    D.backward()
    case = {"u": u.detach().numpy(), "D": D.detach().numpy().reshape(1),
            "dx": x.grad.numpy()}
    if spec["pda"] == "quantization":
        p = snn.soft_spike(spec["family"], u.detach() - 1, width[0])
        eps = spec["pda_epsilon"]
        if min((p - eps).abs().min(), (p - 1 + eps).abs().min()) < MARGIN:
            return None
        case["p"] = p.numpy()
    return case


def pda():
    """The inputs are multiples of 1/64 and d = 1/4: u is exact in float32."""
    w = 1.125
    for seed in itertools.count():
        random = np.random.RandomState(seed)
        x = single(random.randint(-32, 128, (4, 2, 3)) / 64)
        cases = {name: pda_case(options, x, w)
                 for name, options in PDA_CASES.items()}
        if all(case is not None for case in cases.values()):
            break
    file = {"x": x, "width": single([w])}
    for name, case in cases.items():
        file.update({f"{name}.{key}": value for key, value in case.items()})
    return file


# --- losses: method, section 5 ----------------------------------------------

def loss():
    random = np.random.RandomState(3)
    T, N, classes = 3, 4, 5
    file = {"labels": np.array([4, 0, 2, 2], dtype=np.int32)}
    for vote in (1, 2):
        logits32 = single(random.normal(0, 2, (T, N, classes * vote)))
        file[f"logits{vote}"] = logits32
        for kind, smoothing, share in itertools.product(
                ("mean", "tet", "mse"), (0, 0.125), (1, 0.6875)):
            logits = leaf(logits32)
            value = snn.loss(logits, double(file["labels"]), kind, classes, vote,
                             smoothing, 0.0625, 1.0, share)
            value.backward()
            name = f"{kind}.vote{vote}.{'smooth' if smoothing else 'sharp'}"
            name += "" if share == 1 else ".mixed"
            file[f"{name}.loss"] = value.detach().numpy().reshape(1)
            file[f"{name}.dlogits"] = logits.grad.numpy()
    return file


# --- optimisers: ten steps --------------------------------------------------

ADAM = {"betas": (single_value(0.9), single_value(0.999)),
        "eps": single_value(1e-8)}
OPTIMIZERS = {
    "sgd": (torch.optim.SGD, {}),
    "momentum": (torch.optim.SGD, {"momentum": 0.875}),
    "nesterov": (torch.optim.SGD, {"momentum": 0.875, "nesterov": True,
                                   "weight_decay": 0.0625}),
    "clipped": (torch.optim.SGD, {"momentum": 0.875}),
    "adam": (torch.optim.Adam, {"weight_decay": 0.0625, **ADAM}),
    "adamw": (torch.optim.AdamW, {"weight_decay": 0.0625, **ADAM}),
}
MAX_NORM = 2.5  # clips about half of the steps


def optim():
    random = np.random.RandomState(4)
    file = {"w": single(random.normal(size=11)),
            "g": single(random.normal(0, 0.8, (10, 11))),
            "lr": single(random.uniform(0.02, 0.2, 10))}
    for name, (kind, options) in OPTIMIZERS.items():
        w = leaf(file["w"]).detach().clone().requires_grad_(True)
        optimizer, steps, norms = kind([w], lr=0.0, **options), [], []
        for g, lr in zip(file["g"], file["lr"]):
            w.grad = double(g).clone()
            if name == "clipped":
                norms.append(float(torch.nn.utils.clip_grad_norm_([w], MAX_NORM)))
            optimizer.param_groups[0]["lr"] = float(lr)
            optimizer.step()
            steps.append(w.detach().numpy().copy())
        file[f"{name}.w"] = np.stack(steps)
        if norms:
            file[f"{name}.norm"] = np.array(norms)
    return file


# --- images: Pillow's decoders and filter, torchvision's random part --------

# top, left, h, w of the part; its height and width when resized; y, x, size of
# the window that is seen
RESIZES = {
    "same": (2, 3, 12, 12, 12, 12, 0, 0, 12),
    "larger": (1, 2, 5, 7, 31, 31, 0, 0, 31),
    "smaller": (0, 0, 20, 27, 8, 10, 0, 1, 8),
    "flat": (3, 0, 16, 27, 8, 5, 1, 0, 5),
    "one pixel": (4, 4, 1, 1, 6, 6, 1, 2, 3),
    "to one pixel": (0, 0, 20, 27, 1, 1, 0, 0, 1),
    "window": (0, 0, 20, 27, 256, 345, 16, 60, 6),
}
# mode, format and options of the files
ENCODINGS = {
    "jpeg": ("RGB", "JPEG", {"quality": 90}),
    "jpeg progressive": ("RGB", "JPEG", {"quality": 60, "progressive": True}),
    "jpeg grey": ("L", "JPEG", {"quality": 90}),
    "jpeg cmyk": ("CMYK", "JPEG", {"quality": 90}),
    "png": ("RGB", "PNG", {}),
    "png grey": ("L", "PNG", {}),
    "png bits": ("1", "PNG", {}),
    "png palette": ("P", "PNG", {}),
    "png alpha": ("RGBA", "PNG", {}),
    "png grey alpha": ("LA", "PNG", {}),
    "png 16 bits": ("I;16", "PNG", {}),
}
MASK = (1 << 32) - 1


def philox(key, counter):
    """Philox4x32-10 (Salmon et al. 2011)."""
    x, (k0, k1) = list(counter), (key & MASK, key >> 32)
    for _ in range(10):
        p0, p1 = 0xD2511F53 * x[0], 0xCD9E8D57 * x[2]
        x = [p1 >> 32 ^ x[1] ^ k0, p1 & MASK, p0 >> 32 ^ x[3] ^ k1, p0 & MASK]
        k0, k1 = k0 + 0x9E3779B9 & MASK, k1 + 0xBB67AE85 & MASK
    return x


def random_part(h, w, seed, epoch, sample):
    """torchvision's RandomResizedCrop.get_params, drawn by SURGE's Philox."""
    scale, ratio = (0.08, 1.0), (3 / 4, 4 / 3)
    low, high = math.log(ratio[0]), math.log(ratio[1])
    for i in range(10):
        draw = philox(seed, (i, sample, epoch, 0))
        area = h * w * (scale[0] + (scale[1] - scale[0]) * draw[0] / 2**32)
        aspect = math.exp(low + (high - low) * draw[1] / 2**32)
        pw, ph = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
        if 0 < pw <= w and 0 < ph <= h:
            return (draw[2] * (h - ph + 1) >> 32, draw[3] * (w - pw + 1) >> 32,
                    ph, pw)
    ph, pw = h, w
    if w / h < ratio[0]:
        ph = round(w / ratio[0])
    elif w / h > ratio[1]:
        pw = round(h * ratio[1])
    return (h - ph) // 2, (w - pw) // 2, ph, pw


def encode(image, mode, form, options):
    if mode == "RGBA" or mode == "LA":
        image = image.convert(mode[:-1])
        image.putalpha(Image.linear_gradient("L").resize(image.size))
    if mode == "I;16":
        wide = np.array(image.convert("L"), np.uint16) * 257
        image = Image.fromarray(wide + np.arange(wide.size).reshape(wide.shape)
                                .astype(np.uint16) * 31)
    memory = io.BytesIO()
    image.convert(mode).save(memory, form, **options)
    return np.frombuffer(memory.getvalue(), np.uint8)


def decode(data, mode):
    """As RGB; 16 bits, which Pillow clips, are rounded to 8."""
    opened = Image.open(io.BytesIO(data.tobytes()))
    if mode != "I;16":
        return np.array(opened.convert("RGB"))
    grey = (np.array(opened).astype(np.int64) * 255 + 32767) // 65535
    return np.repeat(grey.astype(np.uint8)[:, :, None], 3, axis=2)


def images():
    random = np.random.RandomState(5)
    coarse = Image.fromarray(random.randint(0, 256, (5, 6, 3), dtype=np.uint8))
    image = coarse.resize((27, 20), Image.BICUBIC)
    file = {"image": np.array(image)}
    for name, (t, l, h, w, sh, sw, y, x, size) in RESIZES.items():
        part = image.crop((l, t, l + w, t + h)).resize((sw, sh), Image.BILINEAR)
        file[f"{name}.view"] = np.array([t, l, h, w, sh, sw, y, x, size], np.int32)
        file[f"{name}.out"] = np.array(part.crop((x, y, x + size, y + size)))
    path = os.path.join(FOLDER, "images.safetensors")
    stored = tensorfile.read(path)[0] if os.path.exists(path) else {}
    for name, how in ENCODINGS.items():  # other versions may pack otherwise
        data = stored.get(f"{name}.file")
        data = encode(image, *how) if data is None else data
        file[f"{name}.file"] = data
        file[f"{name}.rgb"] = decode(data, how[0])
    parts = [(h, w, seed, epoch, sample)
             for h, w in ((500, 375), (64, 64), (3, 900), (900, 3), (1, 1), (7, 9))
             for seed, epoch, sample in ((1, 0, 0), (1, 1, 0), (7, 0, 1281166))]
    file["parts"] = np.array([p + random_part(*p) for p in parts], np.int32)
    return file


# --- policies: torchvision's AutoAugment and TrivialAugmentWide -------------
# What torchvision 0.14.1 calls of Pillow, written out, so that it need not be
# installed; equal to it in every case below.

PIXEL_OPS = ("Identity", "ShearX", "ShearY", "TranslateX", "TranslateY", "Rotate",
             "Brightness", "Color", "Contrast", "Sharpness", "Posterize",
             "Solarize", "AutoContrast", "Equalize", "Invert")
SIGNED = PIXEL_OPS[1:10]
CIFAR10 = (  # AutoAugmentPolicy.CIFAR10
    (("Invert", 0.1, None), ("Contrast", 0.2, 6)),
    (("Rotate", 0.7, 2), ("TranslateX", 0.3, 9)),
    (("Sharpness", 0.8, 1), ("Sharpness", 0.9, 3)),
    (("ShearY", 0.5, 8), ("TranslateY", 0.7, 9)),
    (("AutoContrast", 0.5, None), ("Equalize", 0.9, None)),
    (("ShearY", 0.2, 7), ("Posterize", 0.3, 7)),
    (("Color", 0.4, 3), ("Brightness", 0.6, 7)),
    (("Sharpness", 0.3, 9), ("Brightness", 0.7, 9)),
    (("Equalize", 0.6, None), ("Equalize", 0.5, None)),
    (("Contrast", 0.6, 7), ("Sharpness", 0.6, 5)),
    (("Color", 0.7, 7), ("TranslateX", 0.5, 8)),
    (("Equalize", 0.3, None), ("AutoContrast", 0.4, None)),
    (("TranslateY", 0.4, 3), ("Sharpness", 0.2, 6)),
    (("Brightness", 0.9, 6), ("Color", 0.2, 8)),
    (("Solarize", 0.5, 2), ("Invert", 0.0, None)),
    (("Equalize", 0.2, None), ("AutoContrast", 0.6, None)),
    (("Equalize", 0.2, None), ("Equalize", 0.6, None)),
    (("Color", 0.9, 9), ("Equalize", 0.6, None)),
    (("AutoContrast", 0.8, None), ("Solarize", 0.2, 8)),
    (("Brightness", 0.1, 3), ("Color", 0.7, 0)),
    (("Solarize", 0.4, 5), ("AutoContrast", 0.9, None)),
    (("TranslateY", 0.9, 9), ("TranslateY", 0.7, 9)),
    (("AutoContrast", 0.9, None), ("Solarize", 0.8, 3)),
    (("Equalize", 0.8, None), ("Invert", 0.1, None)),
    (("TranslateY", 0.7, 9), ("AutoContrast", 0.9, None)),
)
BINS = {"autoaugment": 10, "trivialaugment": 31}


def linspace(low, high, count):
    """torch.linspace in float32 with fused multiply-adds, as where there are
    vectors; float64 holds each product."""
    low, high = np.float32(low), np.float32(high)
    step = np.float64((high - low) / np.float32(count - 1))
    return [float(np.float32(low + step * i if i < count // 2 else
                             high - step * (count - 1 - i))) for i in range(count)]


def magnitudes(policy, size):
    """_augmentation_space, for images of size (width, height)."""
    bins, wide = BINS[policy], policy == "trivialaugment"
    far = (32.0, 32.0) if wide else [150.0 / 331.0 * side for side in size]
    most = {"ShearX": .99 if wide else .3, "ShearY": .99 if wide else .3,
            "Rotate": 135.0 if wide else 30.0}
    space = {op: [0.0] * bins for op in PIXEL_OPS}
    for op in SIGNED:
        space[op] = linspace(0.0, most.get(op, .99 if wide else .9), bins)
    for op, farthest in zip(("TranslateX", "TranslateY"), far):
        space[op] = [farthest * i / (bins - 1) for i in range(bins)]  # made whole
    space["Posterize"] = [8 - round(i * (6 if wide else 4) / (bins - 1))
                          for i in range(bins)]
    space["Solarize"] = linspace(255.0, 0.0, bins)
    return space


def affine(image, *matrix):
    return image.transform(image.size, Image.AFFINE, matrix, Image.NEAREST,
                           fillcolor=0 if image.mode == "L" else (0, 0, 0))


def apply_op(image, op, m):
    """_apply_op and the Pillow side of functional.affine and rotate."""
    tangent = math.tan(math.radians(math.degrees(math.atan(m))))
    return {
        "Identity": lambda: image,
        "ShearX": lambda: affine(image, 1, tangent, 0, 0, 1, 0),
        "ShearY": lambda: affine(image, 1, 0, 0, tangent, 1, 0),
        "TranslateX": lambda: affine(image, 1, 0, -int(m), 0, 1, 0),
        "TranslateY": lambda: affine(image, 1, 0, 0, 0, 1, -int(m)),
        "Rotate": lambda: image.rotate(m, Image.NEAREST),
        "Brightness": lambda: ImageEnhance.Brightness(image).enhance(1.0 + m),
        "Color": lambda: ImageEnhance.Color(image).enhance(1.0 + m),
        "Contrast": lambda: ImageEnhance.Contrast(image).enhance(1.0 + m),
        "Sharpness": lambda: ImageEnhance.Sharpness(image).enhance(1.0 + m),
        "Posterize": lambda: ImageOps.posterize(image, int(m)),
        "Solarize": lambda: ImageOps.solarize(image, m),
        "AutoContrast": lambda: ImageOps.autocontrast(image),
        "Equalize": lambda: ImageOps.equalize(image),
        "Invert": lambda: ImageOps.invert(image),
    }[op]()


def drawn_ops(policy, size, seed, epoch, sample):
    """forward's choices, drawn by SURGE's Philox: [(op, magnitude)]."""
    space, draw = magnitudes(policy, size), philox(seed, (0, sample, epoch, 1 << 16))
    if policy == "trivialaugment":
        op = PIXEL_OPS[draw[0] * 14 >> 32]
        signs, chosen = [draw[2] >> 31], [(op, 1.0, draw[1] * 31 >> 32)]
    else:
        chosen = CIFAR10[draw[0] * 25 >> 32]
        signs = [draw[3] >> 31, draw[3] >> 30 & 1]
    return [(op, -space[op][bin or 0] if sign and op in SIGNED
             else space[op][bin or 0])
            for i, ((op, p, bin), sign) in enumerate(zip(chosen, signs))
            if (draw[1 + i] >> 8) * 2.0**-24 < p or policy == "trivialaugment"]


def checksum(image):
    """CRC-32, as the int32 of the same bits."""
    return np.uint32(zlib.crc32(np.array(image).tobytes())).astype(np.int32)


def policy_images():
    random = np.random.RandomState(6)
    coarse = Image.fromarray(random.randint(0, 256, (7, 7, 3), dtype=np.uint8))
    square = np.array(coarse.resize((32, 32), Image.BICUBIC))
    square[8:20, 5:25] = square[8:20, 5:25] // 3 + 90  # some of less contrast
    wide = coarse.resize((27, 20), Image.BICUBIC).point(lambda v: v // 2 + 40)
    return {"square": square, "wide": np.array(wide),
            "grey": np.array(coarse.convert("L").resize((28, 28), Image.BICUBIC)),
            "flat": np.full((5, 4, 3), (9, 200, 77), np.uint8),
            "thin": np.array(coarse.resize((9, 2))),
            "pixel": np.full((1, 1, 3), (1, 128, 255), np.uint8)}


def policy():
    file = {}
    for name, pixels in policy_images().items():
        image = Image.fromarray(pixels)
        file[f"{name}.image"] = pixels.reshape(*pixels.shape[:2], -1)
        for kind, bins in BINS.items():
            space = magnitudes(kind, image.size)
            file[f"{name}.{kind}"] = np.array(
                [[[checksum(apply_op(image, op, s * space[op][bin]
                                     if op in SIGNED else space[op][bin]))
                   for s in (1, -1)] for bin in range(bins)] for op in PIXEL_OPS])
            drawn = []
            for sample in range(300):
                out = image
                for op, m in drawn_ops(kind, image.size, 3 + (5 << 32), 2, sample):
                    out = apply_op(out, op, m)
                drawn.append(checksum(out))
            file[f"{name}.{kind}.drawn"] = np.array(drawn)
    return file


# --- main -------------------------------------------------------------------

FILES = {"neuron": neuron, "norm": norm, "pda": pda, "loss": loss,
         "optim": optim, "images": images, "policy": policy}


def differs(path, made):
    stored, _ = tensorfile.read(path)
    return stored.keys() != made.keys() or any(
        not np.allclose(stored[k], made[k], rtol=1e-11, atol=1e-13) for k in made)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--check", action="store_true",
                        help="compare with the stored files, write nothing")
    check, wrong = parser.parse_args().check, []
    for name, make in FILES.items():
        path = os.path.join(FOLDER, name + ".safetensors")
        made = make()
        if not check:
            tensorfile.write(path, made, {"made_by": "scripts/make_golden.py"})
        elif differs(path, made):
            wrong.append(path)
    for path in wrong:
        print(f"{path}: PyTorch {torch.__version__} or Pillow gives other values")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
