#!/usr/bin/env bash
# Every network of the zoo against PyTorch, narrow, T = 2, batch 4: one step of
# the smooth twin beside a module written from the paper (zoo_torch.py), hard
# spikes layer by layer (compare_torch.py), and the numbers of parameters at the
# published widths. Images are noise of CIFAR-10's size.
# Usage: scripts/compare_zoo.sh [SURGE]          SURGE: build-cpu/surge
set -euf -o pipefail  # f: [4,8] is a value, not a pattern
cd "$(dirname "${BASH_SOURCE[0]}")/.."
surge=${1:-build-cpu/surge}
python=${PYTHON:-/usr/bin/python3}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

common="T=2 train.batch=4 data.limit=64 data.validation=0 data.crop_pad=0 data.flip=false
data.set=cifar10 data.path=$work surrogate.family=arctan"
# Each line: name, its architecture, what it sets besides.
networks='
cifarnet     cifarnet     model.channels=[4,8,8,8,4] model.hidden=[8,6]
vgg11        vgg11        model.channels=[4,4,8,8,8,8,8,8]
vgg16        vgg16        model.channels=[4,4,4,4,8,8,8,8,8,8,8,8,8]
vggsnn       vggsnn       model.channels=[4,4,8,8,8,8,8,8]
plif_net     plif_net     model.channels=[4,4,4,8,8,8] model.hidden=[12] model.readout=spikes model.vote=10 loss.kind=mse neuron.decay=learned neuron.decay_input=true neuron.tau=2.0
plif_events  plif_net     model.channels=[4,8,8] model.hidden=[12] model.readout=spikes model.vote=10 loss.kind=mse
resnet19     resnet19     model.channels=[4,8,8] model.hidden=[6]
resnet20     resnet20     model.channels=[4,8,8]
sew_resnet18 sew_resnet18 model.channels=[4,8,8,8]
sew_resnet34 sew_resnet34 model.channels=[4,8,8,8]
sew_resnet50 sew_resnet50 model.channels=[2,4,4,4]
ms_resnet18  ms_resnet18  model.channels=[4,8,8,8]
ms_resnet34  ms_resnet34  model.channels=[4,8,8,8]
'
# The widths of the last count in zoo_torch.py, where they are not the default.
plans='
vgg11
vgg16
vggsnn
resnet19
resnet20     model.channels=[16,32,64]
sew_resnet18
sew_resnet34
sew_resnet50
ms_resnet18
ms_resnet34
'

# Runs SURGE with the common settings and those of a line.
run() { # command, output option..., --, settings
  local arguments=() setting
  while [ "$1" != -- ]; do arguments+=("$1"); shift; done
  shift
  for setting in $common "$@"; do arguments+=(--set "$setting"); done
  "$surge" "${arguments[0]}" "$work/plain.yaml" \
    "${arguments[@]:1}"
}

"$python" scripts/zoo_torch.py --make-cifar10 "$work" >/dev/null
mkdir "$work/soft" "$work/hard"
echo 'loss: {kind: tet}' >"$work/plain.yaml"
while read -r name arch overrides; do
  [ -n "$name" ] || continue
  # shellcheck disable=SC2086
  run grad --out "$work/soft/$name.safetensors" --soft -- "model.arch=$arch" $overrides
  # shellcheck disable=SC2086
  run grad --out "$work/hard/$name.safetensors" -- "model.arch=$arch" $overrides
done <<<"$networks"
while read -r name overrides; do
  [ -n "$name" ] || continue
  # shellcheck disable=SC2086
  run train --dry-run -- "model.arch=$name" surrogate.width_rule=fixed $overrides \
    >"$work/soft/$name.plan"
done <<<"$plans"
set +f
status=0
"$python" scripts/zoo_torch.py "$work"/soft/* >"$work/log" || status=1
"$python" scripts/compare_torch.py "$work"/hard/* >>"$work/log" || status=1
grep -E '^[a-z0-9_]+\.(safetensors|plan):|largest|exceed|all rows' "$work/log" || tail "$work/log"
exit "$status"
