# Drawn by scripts/experiment.py in benchmarks/results: density of the membrane
# potential before training and after it, with PDA off and on (weight 0.1).
set datafile separator ","
set terminal pngcairo size 1200,700 font "sans,11"
set output "pda.png"
bins(start, kind, weight, layer, epoch) = sprintf("< awk -F, '$1 == %s && $2 == \"%s\" && $3 == %s && $4 == \"%s\" && $5 %s' pda_histograms.csv", start, kind, weight, layer, epoch)
set multiplot layout 2,3 title "Membrane potential u before firing, Fashion-MNIST, T = 2: first batch (grey) and after 5 epochs"
set grid
set xrange [-4:4]
set arrow 1 from 1, graph 0 to 1, graph 1 nohead dt 2
do for [start in "1 5"] {
  do for [layer in "neuron1 neuron2 neuron3"] {
    set title sprintf("%s, start w = %s", layer, start)
    set ylabel (layer eq "neuron1" ? "density" : "")
    plot bins(start, "off", "0", layer, "== 0") using (($6+$7)/2):8 with filledcurves y1=0 fc "#cccccc" title "first batch", \
         bins(start, "off", "0", layer, "> 0") using (($6+$7)/2):8 with lines lw 2 title "PDA off", \
         bins(start, "moment", "0.1", layer, "> 0") using (($6+$7)/2):8 with lines lw 2 title "moment", \
         bins(start, "quantization", "0.1", layer, "> 0") using (($6+$7)/2):8 with lines lw 2 title "quantization"
  }
}
unset multiplot
