# Drawn by scripts/experiment.py in benchmarks/results: accuracy against the
# starting width, and ln w of each layer over time from every start.
set datafile separator ","
set terminal pngcairo size 1200,800 font "sans,11"
set output "width_start.png"
group(rule) = sprintf("< awk -F, '$1 == \"rectangular\" && $3 == \"%s\"' width_start.csv | sort -t, -k2,2g", rule)
ln(layer, start) = sprintf("< awk -F, '$1 == \"rectangular\" && $3 == \"%s\" && $2 == \"%s\"' width_start_widths.csv", layer, start)
set multiplot
set grid

set origin 0, 0.48
set size 1, 0.52
set title "Fashion-MNIST, T = 2, 5 epochs: test accuracy by starting width (bars: standard deviation over seeds)"
set logscale x
set xrange [0.15:13]
set xtics (0.2, 0.5, 1, 2.5, 5, 10)
set xlabel "starting width w"
set ylabel "accuracy, %"
set key bottom left
plot group("fixed") using 2:(100*$6):(100*($7 == $7 ? $7 : 0)) with yerrorlines pt 7 lw 2 title "fixed", \
     group("learned") using 2:(100*$6):(100*($7 == $7 ? $7 : 0)) with yerrorlines pt 7 lw 2 title "learned (PSG)", \
     for [rule in "decay norm"] "< awk -F, '$3 == \"".rule."\" {for (x = 0.2; x <= 10; x += 9.8) print x \",\" $6}' width_start.csv" using 1:(100*$2) with lines dt 2 lw 2 title rule

unset logscale
set size 0.333, 0.48
set xrange [0:5]
set yrange [-2:2.5]
set xtics 1
set xlabel "epoch"
set key off
do for [i = 1:3] {
  set origin (i - 1) / 3.0, 0
  set title sprintf("neuron%d", i)
  set ylabel (i == 1 ? "ln w" : "")
  plot for [start in "0.2 0.5 1 2.5 5 10"] ln(sprintf("neuron%d", i), start) using 4:5 with linespoints pt 7 lw 2
}
unset multiplot
