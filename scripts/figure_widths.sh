#!/usr/bin/env bash
# Trains the quick recipe on 20,000 images from several starting widths and draws
# how the learned widths move: benchmarks/results/widths.csv and widths.png.
# Usage: scripts/figure_widths.sh [EPOCHS]   (gnuplot-nox; build/surge must be there)
set -euo pipefail
cd "$(dirname "$0")/.."
epochs=${1:-3}
surge=build/surge
recipe=benchmarks/recipes/fashion_mnist_quick.yaml
out=benchmarks/results
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
command -v gnuplot > /dev/null || { echo "wanted gnuplot, found none" >&2; exit 1; }
[ -x "$surge" ] || { echo "$surge: wanted the built program, found none" >&2; exit 1; }

echo "start,epoch,layer,width,test_acc" > "$out/widths.csv"
for start in 0.2 0.5 1 2.5 5; do
  "$surge" train "$recipe" --epochs "$epochs" --set data.limit=20000 \
    --set surrogate.width=$start --out "$work/$start"
  for layer in neuron1 neuron2 neuron3; do
    echo "$start,0,$layer,$start," >> "$out/widths.csv"
  done
  # the width at the end of each epoch, as its evaluation saw it, and the accuracy
  awk -F, -v start="$start" '
    NR == FNR { if (FNR > 1) acc[$1] = $5; next }
    $2 == "test" && $4 == 0 { print start "," $1 "," $3 "," $10 "," acc[$1] }
  ' "$work/$start/metrics.csv" "$work/$start/layers.csv" >> "$out/widths.csv"
done

gnuplot <<PLOT
set terminal pngcairo size 1200,400 font "sans,11"
set output "$out/widths.png"
set datafile separator ","
rows(layer, start) = sprintf("< awk -F, '\$3 == \"%s\" && \$1 == \"%s\"' $out/widths.csv", layer, start)
set multiplot layout 1,3 title "Learned width of the surrogate, from five starts (20,000 images of Fashion-MNIST, T = 2)"
set logscale y 2
set yrange [0.15:8]
set xlabel "epoch"
set key off
set grid
do for [layer in "neuron1 neuron2 neuron3"] {
  set title layer
  set ylabel (layer eq "neuron1" ? "width w" : "")
  plot for [start in "0.2 0.5 1 2.5 5"] rows(layer, start) using 2:4 with linespoints pt 7 lw 2
}
unset multiplot
PLOT
echo "$out/widths.csv and $out/widths.png"
