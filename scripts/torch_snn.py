"""The method (README, "The method") in PyTorch: neuron, surrogates, PDA, losses.

A second, independent statement: gradients come from autograd wherever a
derivative exists. Only the hard spike has a function of its own, because its
surrogate is no derivative. make_golden.py and compare_torch.py share this."""
import math

import torch

# c of include/surge/neuron.h: the half-width that for w = 1 holds half the mass.
CENTRAL_HALF = {
    "rectangular": 0.25,
    "triangular": 1 - 1 / math.sqrt(2),
    "arctan": 2 / math.pi,
    "sigmoid": math.log(3),
    "gaussian": 0.6744897501960817,
    "fast_sigmoid": 1.0,
}
FAMILIES = tuple(CENTRAL_HALF)


def soft_spike(family, x, w, inside=None):
    """S_w(x) = F(x/w), differentiable by autograd in x and in w. The rectangle
    has corners: `inside` says on which side of them x is taken to be."""
    y = x / w
    if family == "rectangular":
        s = (y + 0.5).clamp(0, 1)
        return s if inside is None else torch.where(inside, y + 0.5, s.detach())
    if family == "triangular":
        y = y.clamp(-1, 1)
        return torch.where(y < 0, (1 + y) ** 2 / 2, 1 - (1 - y) ** 2 / 2)
    if family == "arctan":
        return torch.atan(math.pi / 2 * y) / math.pi + 0.5
    if family == "sigmoid":
        return torch.sigmoid(y)
    if family == "gaussian":
        return (1 + torch.erf(y / math.sqrt(2))) / 2
    assert family == "fast_sigmoid", family
    return y / (2 * (1 + y.abs())) + 0.5


def surrogate(family, x, w):
    """h_w(x) = dS/dx, of area 1."""
    y = x / w
    if family == "rectangular":
        return (y.abs() < 0.5).to(x) / w
    if family == "triangular":
        return (1 - y.abs()).clamp(min=0) / w
    if family == "arctan":
        return 0.5 / (1 + (math.pi / 2 * y) ** 2) / w
    if family == "sigmoid":
        return torch.sigmoid(y) * torch.sigmoid(-y) / w
    if family == "gaussian":
        return torch.exp(-y * y / 2) / math.sqrt(2 * math.pi) / w
    assert family == "fast_sigmoid", family
    return 0.5 / (1 + y.abs()) ** 2 / w


class HardSpike(torch.autograd.Function):
    """Forward: the step, equality fires. Backward: dx = g h, and where w is
    trained PSG's dw = sum of g (-(x/w) h) over what w is broadcast to."""

    @staticmethod
    def forward(ctx, x, w, family):
        ctx.save_for_backward(x, w)
        ctx.family = family
        return (x >= 0).to(x)

    @staticmethod
    def backward(ctx, g):
        x, w = ctx.saved_tensors
        dx = g * surrogate(ctx.family, x, w)
        dw = None
        if ctx.needs_input_grad[1]:
            dw = (-(x / w) * dx).sum_to_size(w.shape)
        return dx, dw, None


def window(family, w):
    """Half the width of the window that the statistics count."""
    return w * {"rectangular": 0.5, "triangular": 1.0}.get(
        family, CENTRAL_HALF[family])


def widths(spec, rho, d, gammas):
    """w at t = 0 and at t > 0 (channels last in shape) for a width rule;
    the rules `decay` and `norm` are detached. `gammas`: of the norms read."""
    rule = spec["width_rule"]
    if rule == "learned":
        return (rho.exp(),) * 2
    if rule in ("fixed", "schedule"):  # the first step of a schedule
        return (torch.tensor(spec["width"]).to(d),) * 2
    share = 0.25 / CENTRAL_HALF[spec["family"]]
    spread = 2 * spec["v_threshold"] * share * torch.sqrt(1 + d.detach() ** 2)
    if rule == "decay":
        return (spread,) * 2
    g = torch.stack([gamma.detach().mean().clamp(min=1e-3) for gamma in gammas])
    g = (g ** 2).mean().sqrt()
    return 2 * g * spec["v_threshold"] * share, spread * g


def lif(x, spec, d, w, soft=False, inside=None, synapse=None):
    """x [T, ...] -> dictionary of lists over t: i, u, s, v; `current` is gain*x,
    i what a synapse of the decay `synapse` makes of it. `inside`, of every t, is
    for soft_spike."""
    theta, v_reset = spec["v_threshold"], spec["v_reset"]
    current = (1 - d) * x if spec["decay_input"] else x
    trace = {"current": current, "i": [], "u": [], "s": [], "v": []}
    i = v = torch.zeros_like(x[0])
    for t in range(x.shape[0]):
        i = current[t] if synapse is None else synapse * i + current[t]
        u = d * v + i
        if soft:
            s = soft_spike(spec["family"], u - theta, w[t > 0], inside and inside[t])
        else:
            s = HardSpike.apply(u - theta, w[t > 0], spec["family"])
        r = s.detach() if spec["detach_reset"] else s
        v = u * (1 - r) + v_reset * r if spec["reset"] == "hard" else u - theta * r
        for name, value in (("i", i), ("u", u), ("s", s), ("v", v)):
            trace[name].append(value)
    return trace


def pda(u, spec, d, w, channel_dim):
    """D of one layer; u [T, N, ...]. The target's d and the width are detached."""
    theta = spec["v_threshold"]
    if spec["pda"] == "quantization":
        eps, terms = spec["pda_epsilon"], []
        for t in range(u.shape[0]):
            x = u[t] - theta
            p = soft_spike(spec["family"], x, w[t > 0].detach()).clamp(eps, 1 - eps)
            q = (x >= 0).to(u).clamp(eps, 1 - eps)
            terms.append((p - q) / 2 * (torch.logit(p) - torch.logit(q)))
        return torch.stack(terms).mean()
    dims = [i for i in range(u.dim()) if i != channel_dim] \
        if spec["pda_granularity"] == "channel" else list(range(u.dim()))
    m = u.mean(dims)
    variance = u.var(dims, unbiased=False) + 1e-5 * theta ** 2
    s0 = spec["pda_std"] or theta * torch.sqrt(1 + d.detach() ** 2)
    e2 = (m - spec["pda_mean"]) ** 2
    D = ((variance + e2) / s0 ** 2 + (s0 ** 2 + e2) / variance - 2) / 4
    return D.mean()


def loss(logits, labels, kind, classes, vote, label_smoothing, tet_lambda,
         tet_target, share=1.0):
    """logits [T, N, classes*vote] -> mean over the batch; `share` of a label is
    a sample's own, the rest that of the sample before it (mixup, cutmix)."""
    T, N = logits.shape[:2]
    scores = logits.reshape(T, N, classes, vote).mean(3)
    target = torch.nn.functional.one_hot(labels.long(), classes).to(logits)
    target = share * target + (1 - share) * target.roll(1, 0)
    target = (1 - label_smoothing) * target + label_smoothing / classes

    def cross_entropy(o):
        return -(target * torch.log_softmax(o, -1)).sum(-1).mean()

    if kind == "mean":
        return cross_entropy(scores.mean(0))
    if kind == "tet":
        return (1 - tet_lambda) * cross_entropy(scores) + \
            tet_lambda * ((scores - tet_target) ** 2).mean()
    assert kind == "mse", kind
    return ((scores.mean(0) - target) ** 2).mean()
