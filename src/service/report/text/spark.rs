//! Draws figures as a row of bars.

/// The bars, from the least to the greatest.
const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
/// Marks an unknown figure.
pub const GAP: char = '·';

/// Draws at most `columns` bars from zero to the greatest figure. Where there are more figures than columns, a
/// bar is the mean of the known figures of its part.
pub fn line(figures: &[Option<f64>], columns: usize) -> String {
    let columns = columns.min(figures.len());
    let mean = |column: usize| {
        let part = |column: usize| column * figures.len() / columns;
        mean(figures.get(part(column)..part(column + 1)).unwrap_or(&[]))
    };
    let means: Vec<Option<f64>> = (0..columns).map(mean).collect();
    let greatest = means.iter().flatten().copied().fold(0.0, f64::max);
    let bar = |mean: Option<f64>| match mean {
        None => GAP,
        Some(mean) if mean > 0.0 && greatest > 0.0 => {
            let top = BARS.len() - 1;
            let step = (mean / greatest * BARS.len() as f64).ceil() as usize;
            BARS[step.saturating_sub(1).min(top)]
        }
        Some(_) => BARS[0],
    };
    means.into_iter().map(bar).collect()
}

/// The mean of the known figures, if any is known.
pub fn mean(figures: &[Option<f64>]) -> Option<f64> {
    let known: Vec<f64> = figures.iter().flatten().copied().collect();
    (!known.is_empty()).then(|| known.iter().sum::<f64>() / known.len() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_rise_from_zero_and_gaps_stay_gaps() {
        let some = |figures: &[f64]| figures.iter().map(|f| Some(*f)).collect::<Vec<_>>();
        let eight: Vec<f64> = (1..=8).map(f64::from).collect();
        assert_eq!(line(&some(&eight), 20), "▁▂▃▄▅▆▇█");
        assert_eq!(line(&some(&eight), 4), "▂▄▆█");
        assert_eq!(line(&[Some(0.0), None, Some(5.0)], 20), "▁·█");
        assert_eq!(line(&[None, None, Some(2.0), None], 2), "·█");
        assert_eq!(line(&some(&[0.0, 0.0]), 20), "▁▁");
        assert_eq!(line(&some(&[-3.0, 6.0]), 20), "▁█");
        assert_eq!(line(&[None, None], 20), "··");
        assert_eq!(line(&[], 20), "");
        assert_eq!(line(&some(&eight), 0), "");
    }
}
