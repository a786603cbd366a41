//! The colours of the dashboards. If this test failed, colour-blind people could not tell some series apart.

/// The colours of Okabe and Ito. Grey replaces their black, which is invisible on a dark page.
pub const COLOURS: [&str; 8] = [
    "#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442", "#606060",
];
/// The least distance between two colours. A distance of 2 is just visible side by side.
const APART: f64 = 15.0;

type Vector = [f64; 3];
type Matrix = [Vector; 3];

/// Colour vision as matrices of linear red, green and blue: normal, and without one of the three kinds of cone
/// (Machado, Oliveira and Fernandes, 2009).
const SIGHTS: [(&str, Matrix); 4] = [
    ("all", [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]),
    (
        "no red",
        [
            [0.152_286, 1.052_583, -0.204_868],
            [0.114_503, 0.786_281, 0.099_216],
            [-0.003_882, -0.048_116, 1.051_998],
        ],
    ),
    (
        "no green",
        [
            [0.367_322, 0.860_646, -0.227_968],
            [0.280_085, 0.672_501, 0.047_413],
            [-0.011_820, 0.042_940, 0.968_881],
        ],
    ),
    (
        "no blue",
        [
            [1.255_528, -0.076_749, -0.178_779],
            [-0.078_411, 0.930_809, 0.147_602],
            [0.004_733, 0.691_367, 0.303_900],
        ],
    ),
];
/// Conversion of linear red, green and blue to CIE XYZ, relative to the white of the screen.
const XYZ: Matrix = [
    [0.433_9, 0.376_2, 0.189_9],
    [0.212_6, 0.715_2, 0.072_2],
    [0.017_7, 0.109_5, 0.872_8],
];

fn times(matrix: &Matrix, vector: Vector) -> Vector {
    matrix.map(|row| row.iter().zip(vector).map(|(a, b)| a * b).sum())
}

fn linear(colour: &str) -> Vector {
    [1, 3, 5].map(|at| {
        let value = u8::from_str_radix(&colour[at..at + 2], 16).unwrap();
        let value = f64::from(value) / 255.0;
        match value <= 0.040_45 {
            true => value / 12.92,
            false => ((value + 0.055) / 1.055).powf(2.4),
        }
    })
}

/// The colour in CIE L*a*b*, in which distances match visible differences.
fn lab(linear: Vector) -> Vector {
    let [x, y, z] =
        times(&XYZ, linear.map(|part| part.clamp(0.0, 1.0))).map(|part| match part > 0.008_856 {
            true => part.cbrt(),
            false => 7.787 * part + 16.0 / 116.0,
        });
    [116.0 * y - 16.0, 500.0 * (x - y), 200.0 * (y - z)]
}

fn distance(a: Vector, b: Vector) -> f64 {
    let squares = a.iter().zip(b).map(|(a, b)| (a - b) * (a - b));
    squares.sum::<f64>().sqrt()
}

#[test]
fn colours_are_far_apart_for_every_kind_of_colour_vision() {
    for (sight, matrix) in SIGHTS {
        let seen = COLOURS.map(|colour| lab(times(&matrix, linear(colour))));
        for (first, a) in seen.iter().enumerate() {
            for (second, b) in seen.iter().enumerate().skip(first + 1) {
                let apart = distance(*a, *b);
                let pair = (COLOURS[first], COLOURS[second]);
                assert!(apart >= APART, "{sight}: {pair:?} are {apart:.1} apart");
            }
        }
    }
}
