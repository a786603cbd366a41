set terminal svg size 900,520 font "sans-serif,13" background rgb "white"
set multiplot layout 2,3
set yrange [0:*]
set ylabel "CPU µs a check-in"
set style line 1 lc rgb "#0072b2" lw 2 pt 7 ps 0.6
unset key
do for [n = 0:4] {
    set xlabel value(sprintf("name%d", n))
    plot "$axis".n using 1:2 with linespoints ls 1
}
