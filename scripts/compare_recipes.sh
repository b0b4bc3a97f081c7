#!/usr/bin/env bash
# One training step of many small networks against PyTorch (compare_torch.py):
# the smooth twin of each case below, and the hard spikes of some; then ten
# steps of the smooth twin with every optimiser and schedule.
# Usage: scripts/compare_recipes.sh [SURGE]      SURGE: build-cpu/surge
set -euf -o pipefail  # f: [4,8] is a value, not a pattern
cd "$(dirname "${BASH_SOURCE[0]}")/.."
surge=${1:-build-cpu/surge}
python=${PYTHON:-/usr/bin/python3}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

small=(T=3 "model.channels=[4,8,8]" train.batch=8 data.limit=64)
# Each line: name, then what it sets besides.
soft='
plain
triangular       surrogate.family=triangular
arctan           surrogate.family=arctan surrogate.width=0.5
sigmoid          surrogate.family=sigmoid surrogate.width=0.25
gaussian         surrogate.family=gaussian surrogate.granularity=channel
fast_sigmoid     surrogate.family=fast_sigmoid
fixed            surrogate.width_rule=fixed surrogate.family=arctan
rule_decay       surrogate.width_rule=decay neuron.decay=learned
rule_norm        surrogate.width_rule=norm surrogate.family=gaussian
rule_norm_two    surrogate.width_rule=norm surrogate.family=arctan model.arch=layers model.layers=[{"conv":{"out":4}},"norm","neuron",{"conv":{"out":8,"stride":2}},{"norm":{"zero_init":true,"alpha":0.7}},{"conv":{"out":8,"stride":2,"kernel":1,"from":"neuron1"}},{"norm":{"alpha":0.7}},{"neuron":{"from":"norm2","add":"norm3"}},{"conv":{"out":8}},"norm",{"neuron":{"from":"neuron2","add":"norm4"}},{"avgpool":"global"},{"linear":{"out":"classes"}}]
attached         neuron.detach_reset=false surrogate.family=sigmoid
soft_reset       neuron.reset=soft surrogate.family=arctan
soft_attached    neuron.reset=soft neuron.detach_reset=false surrogate.family=arctan
decay_input      neuron.decay_input=true neuron.tau=2.0 surrogate.family=sigmoid
learned_decay    neuron.decay=learned neuron.decay_input=true surrogate.family=arctan
synapse          neuron.synapse_decay=0.8 surrogate.family=arctan
synapse_learned  neuron.synapse_decay=learned neuron.synapse_tau=3 neuron.decay=learned neuron.decay_input=true surrogate.family=sigmoid
synapse_layer    model.arch=layers model.layers=[{"conv":{"out":4}},"norm",{"neuron":{"synapse_tau":2}},{"conv":{"out":4}},"norm",{"neuron":{"synapse_decay":"learned","synapse_decay_start":0.6}},{"linear":{"out":"classes"}},"neuron"] model.vote=1
synapse_rest     neuron.synapse_decay=0.7 neuron.reset=soft neuron.detach_reset=false model.norm=tebn model.readout=membrane pda.weight=0.5 surrogate.family=arctan
synapse_long     neuron.synapse_decay=learned neuron.synapse_tau=5 T=100 model.arch=mlp model.hidden=[32,16] model.readout=membrane surrogate.family=fast_sigmoid
bn               model.norm=bn surrogate.family=arctan
tebn             model.norm=tebn surrogate.family=arctan
no_norm          model.norm=none surrogate.family=arctan
max_pooling      model.pooling=max surrogate.family=arctan
tet              loss.kind=tet loss.label_smoothing=0.1 surrogate.family=arctan
mse_vote         loss.kind=mse model.vote=2 surrogate.family=arctan
mixup            data.mixup=1 loss.label_smoothing=0.1 surrogate.family=arctan
cutmix           data.cutmix=1 data.policy=autoaugment loss.kind=tet surrogate.family=arctan
moment           pda.kind=moment pda.weight=0.5 surrogate.family=arctan
moment_channel   pda.weight=0.5 pda.granularity=channel surrogate.family=arctan
quantization     pda.kind=quantization pda.weight=0.5 surrogate.family=sigmoid
poisson          model.coding=poisson data.normalize=false surrogate.family=arctan
membrane         model.readout=membrane surrogate.family=arctan
spikes           model.readout=spikes surrogate.family=arctan
accumulated      train.accumulate=4 surrogate.family=arctan
recomputed       memory=recompute surrogate.family=arctan
mlp              model.arch=mlp model.hidden=[32] surrogate.family=arctan
add_before       model.arch=layers model.layers=[{"conv":{"out":4}},"norm","neuron",{"conv":{"out":4}},"norm","neuron",{"conv":{"out":4}},"norm",{"neuron":{"add":"neuron1"}},{"conv":{"out":8,"stride":2}},"norm","neuron",{"conv":{"out":8}},"norm",{"conv":{"out":8,"stride":2,"kernel":1,"from":"neuron3"}},"norm",{"neuron":{"from":"norm5","add":"norm6"}},{"avgpool":"global"},{"linear":{"out":"classes"}}] surrogate.family=arctan
add_spikes       model.arch=layers model.layers=[{"conv":{"out":4}},"norm","neuron",{"conv":{"out":4}},"norm","neuron",{"conv":{"out":4}},"norm","neuron",{"add":"neuron1"},{"conv":{"out":8,"stride":2}},"norm","neuron",{"conv":{"out":8,"stride":2,"kernel":1,"from":"add1"}},"norm","neuron",{"add":"neuron4"},{"conv":{"out":8}},"norm","neuron",{"add":"add2"},{"avgpool":"global"},{"linear":{"out":"classes"}}] surrogate.family=arctan
add_stream       model.arch=layers model.layers=[{"conv":{"out":4}},"norm",{"add":"none"},"neuron",{"conv":{"out":4}},"norm",{"add":"add1"},"neuron",{"conv":{"out":8,"stride":2}},"norm",{"conv":{"out":8,"stride":2,"kernel":1,"from":"add2"}},"norm",{"add":{"from":"norm3","add":"norm4"}},"neuron",{"linear":{"out":"classes"}}] surrogate.family=arctan model.norm=tebn seed=2
add_shared       model.arch=layers model.layers=[{"conv":{"out":4}},"norm","neuron",{"conv":{"out":4}},"norm","neuron",{"conv":{"out":4}},"norm",{"add":{"from":"neuron1","add":"neuron2"}},{"neuron":{"from":"norm3","add":"add1"}},{"linear":{"out":"classes"}}] surrogate.family=arctan
add_pooled       model.arch=layers model.layers=[{"conv":{"out":4}},"norm","neuron",{"maxpool":{"kernel":3,"stride":1,"pad":1}},{"add":"neuron1"},{"linear":{"out":"classes"}}] surrogate.family=arctan
add_twice        model.arch=layers model.layers=[{"conv":{"out":4}},"norm","neuron",{"conv":{"out":4}},"norm","neuron",{"add":"neuron1"},{"add":"neuron1"},{"linear":{"out":"classes"}}] surrogate.family=arctan
add_odd          model.arch=layers model.layers=[{"conv":{"out":4}},"norm","neuron",{"conv":{"out":4}},{"neuron":{"add":"neuron1"}},{"conv":{"out":4,"from":"neuron1"}},{"add":"neuron2"},{"conv":{"out":4,"from":"image"}},"norm",{"neuron":{"add":"add1"}},{"conv":{"out":4,"from":"neuron2"}},{"add":"neuron3"},{"dropout":0},{"linear":{"out":"classes"}}] surrogate.family=arctan
'
hard='
plain
soft_reset       neuron.reset=soft
decay_input      neuron.decay_input=true neuron.tau=2.0
learned_decay    neuron.decay=learned
synapse          neuron.synapse_decay=learned neuron.synapse_tau=4 T=20
'
# Ten steps of eight batches an epoch, the last of them smaller.
steps='
sgd
nesterov         optim.nesterov=true optim.weight_decay=0.01
adam             optim.kind=adam optim.lr=0.01 optim.weight_decay=0.01
adamw            optim.kind=adamw optim.lr=0.01 optim.weight_decay=0.1
clipped          optim.clip_norm=0.1 schedule.kind=constant
warm_up          schedule.warmup_epochs=0.5 schedule.lr_min=0.01
milestones       schedule.kind=step schedule.milestones=[1] schedule.gamma=0.5
learned_decay    neuron.decay=learned optim.decay_lr=0.02 surrogate.granularity=channel
synapse          neuron.synapse_decay=learned neuron.synapse_tau=4 neuron.decay=learned optim.decay_lr=0.02
bounded          surrogate.width_min=0.995 surrogate.width_max=1.005
scheduled        surrogate.width_rule=schedule surrogate.width_end=0.5
pda              pda.weight=0.1 model.norm=tebn data.normalize=false
'

# Writes the file of every case of a list.
write_all() { # list, prefix, options
  local name overrides setting settings
  while read -r name overrides; do
    [ -n "$name" ] || continue
    settings=()
    for setting in "${small[@]}" $overrides; do settings+=(--set "$setting"); done
    "$surge" grad benchmarks/recipes/fashion_mnist_quick.yaml "${settings[@]}" \
      --out "$work/$2$name.safetensors" "${@:3}"
  done <<<"$1"
}

write_all "$soft" soft_ --soft
write_all "$hard" hard_
small+=(data.limit=61 data.flip=false train.epochs=2 surrogate.family=arctan)
write_all "$steps" steps_ --soft --steps 10
set +f
status=0
"$python" scripts/compare_torch.py "$work"/*.safetensors >"$work/log" || status=$?
grep -E 'safetensors: |largest|exceed|all rows' "$work/log"
exit "$status"
