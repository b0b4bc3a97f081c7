#!/usr/bin/python3
"""Tests compare_torch.py on a file that neither SURGE nor PyTorch made.

A small network's smooth twin in numpy, with plain loops, and its gradients by
central differences: the comparison must accept the file as it is and refuse it
with any one gradient off by a thousandth."""
import json
import os
import subprocess
import sys
import tempfile

import numpy as np

import tensorfile

T, N, H, C, CLASSES, WIDTH, DECAY, LAMBDA = 3, 4, 4, 2, 3, 0.8, 0.25, 0.5
SCRIPT = os.path.join(os.path.dirname(os.path.abspath(__file__)),
                      "compare_torch.py")
SPEC = {"decay": DECAY, "decay_learned": False, "decay_input": False,
        "synapse_decay": 0.0, "synapse_learned": False,
        "v_threshold": 1.0, "v_reset": 0.0, "reset": "hard",
        "detach_reset": False, "family": "sigmoid", "width_rule": "learned",
        "granularity": "layer", "width": WIDTH, "width_end": 1.0,
        "pda": "moment", "pda_granularity": "layer", "pda_mean": 0.0,
        "pda_std": 0.0, "pda_epsilon": 0.05}


def convolve(x, w):
    """[N, H, H, 1] with [C, 3, 3, 1], padding 1."""
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    z = np.zeros((N, H, H, C))
    for i in range(3):
        for j in range(3):
            z += padded[:, i:i + H, j:j + H] @ w[:, i, j, :].T
    return z


def forward(p, x, labels):
    """Loss, pda, logits, current, z of the smooth twin."""
    z = convolve(x, p["conv1.weight"])
    mean, var = z.mean((0, 1, 2)), z.var((0, 1, 2))
    a = (z - mean) / np.sqrt(var + 1e-5) * p["norm1.gamma"] + p["norm1.beta"]
    v, membranes, logits = np.zeros_like(a), [], []
    for _ in range(T):
        u = DECAY * v + a
        s = 1 / (1 + np.exp(-(u - 1) / np.exp(p["neuron1.rho"])))
        v = u * (1 - s)
        membranes.append(u)
        pooled = s.reshape(N, H // 2, 2, H // 2, 2, C).mean((2, 4))
        logits.append(np.einsum("nhwc,ohwc->no", pooled, p["linear1.weight"])
                      + p["linear1.bias"])
    u, o = np.stack(membranes), np.mean(logits, 0)
    m, spread = u.mean(), u.var() + 1e-5
    target = 1 + DECAY ** 2
    D = ((spread + m * m) / target + (target + m * m) / spread - 2) / 4
    chosen = o[np.arange(N), labels]
    loss = (np.log(np.exp(o).sum(1)) - chosen).mean()
    return loss, D, np.stack(logits), a, z, u


def differences(p, x, labels):
    """dL/dp by central differences, in double."""
    gradients = {}
    for name, value in p.items():
        g = np.zeros_like(value)
        for index in np.ndindex(value.shape):
            ends = []
            for step in (1e-5, -1e-5):
                moved = {k: v.copy() for k, v in p.items()}
                moved[name][index] += step
                loss, D = forward(moved, x, labels)[:2]
                ends.append(loss + LAMBDA * D)
            g[index] = (ends[0] - ends[1]) / 2e-5
        gradients[name] = g
    return gradients


def statistics(u, w):
    rows = []
    for step in u:
        s = 1 / (1 + np.exp(-(step - 1) / w))
        rows.append([step.size, step.mean(), ((step - step.mean()) ** 2).sum(),
                     (np.abs(step - 1) < np.log(3) * w).sum(), s.sum(),
                     ((step - s) ** 2).sum()])
    return np.array(rows)


def describe():
    image, hidden, pooled = [H, H, 1], [H, H, C], [H // 2, H // 2, C]
    layers = [
        {"kind": "conv", "name": "conv1", "in": image, "out": hidden,
         "kernel": 3, "stride": 1, "pad": 1, "groups": 1},
        {"kind": "norm", "name": "norm1", "in": hidden, "out": hidden,
         "norm": "tdbn", "alpha_theta": 1.0, "eps": 1e-5},
        {"kind": "neuron", "name": "neuron1", "in": hidden, "out": hidden,
         "neuron": SPEC},
        {"kind": "avgpool", "name": "avgpool1", "in": hidden, "out": pooled,
         "kernel": 2, "stride": 2, "pad": 0},
        {"kind": "linear", "name": "linear1", "in": pooled, "out": [1, 1, CLASSES]},
    ]
    for layer, before in zip(layers, [{"name": "image"}] + layers):
        layer.update({"from": before["name"], "add": "none"})
    return layers


def make():
    random = np.random.RandomState(0)
    x, labels = random.uniform(0, 1, (N, H, H, 1)), np.array([2, 0, 1, 0])
    p = {"conv1.weight": random.normal(size=(C, 3, 3, 1)),
         "norm1.gamma": random.uniform(0.5, 1.5, C),
         "norm1.beta": random.normal(size=C),
         "neuron1.rho": np.log([WIDTH]),
         "linear1.weight": random.normal(size=(CLASSES, H // 2, H // 2, C)),
         "linear1.bias": random.normal(size=CLASSES)}
    loss, D, logits, a, z, u = forward(p, x, labels)
    repeated = np.tile(z, (T, 1, 1, 1))
    tensors = {"input": x, "labels": labels.astype(np.int32), **p,
               "loss": np.array([loss]), "pda": np.array([D]), "logits": logits,
               "neuron1.current": np.stack([a] * T),
               "neuron1.statistics": statistics(u, WIDTH),
               "norm1.running_mean": 0.1 * z.mean((0, 1, 2)),
               "norm1.running_var": 0.9 + 0.1 * repeated.var((0, 1, 2), ddof=1)}
    for name, g in differences(p, x, labels).items():
        tensors["grad." + name] = g
    metadata = {"soft": "true", "T": str(T), "pda_weight": str(LAMBDA),
                "pda_layers": "1", "layers": json.dumps(describe()),
                "loss": json.dumps({"kind": "mean", "label_smoothing": 0,
                                    "tet_lambda": 0, "tet_target": 1, "vote": 1,
                                    "classes": CLASSES})}
    return tensors, metadata


def accepted(folder, tensors, metadata):
    path = os.path.join(folder, "one_step.safetensors")
    tensorfile.write(path, tensors, metadata)
    run = subprocess.run([sys.executable, SCRIPT, path], capture_output=True,
                         text=True, check=False)
    return run.returncode == 0, run.stdout + run.stderr


def main():
    tensors, metadata = make()
    with tempfile.TemporaryDirectory() as folder:
        good, text = accepted(folder, tensors, metadata)
        if not good:
            print(text)
            return "the right file was refused"
        for name in [n for n in tensors if n.startswith("grad.")]:
            wrong = {**tensors, name: tensors[name] * 1.001}
            if accepted(folder, wrong, metadata)[0]:
                return f"{name} off by a thousandth was accepted"
    print("compare_torch.py: the right file accepted, every wrong one refused")
    return 0


if __name__ == "__main__":
    sys.exit(main())
