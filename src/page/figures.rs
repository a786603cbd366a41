//! The page's format of numbers: thousands separated, shares with one decimal, changes with their sign.

/// The space between a number and its unit, at which no line breaks.
const NO_BREAK: char = '\u{a0}';
/// The sign for an unknown figure.
pub const UNKNOWN: &str = "·";
/// Figures from here on are shown without a decimal.
const WHOLE_FROM: f64 = 100.0;

/// A figure like `47,902`; a mean below a hundred has a decimal unless it is whole.
pub fn count(figure: f64) -> String {
    if !figure.is_finite() {
        return UNKNOWN.to_owned();
    }
    let tenths = (figure * 10.0).round() / 10.0;
    if tenths.abs() < WHOLE_FROM && tenths.fract() != 0.0 {
        return format!("{tenths:.1}").replace('-', "−");
    }
    let sign = if figure.round() < 0.0 { "−" } else { "" };
    format!(
        "{sign}{}",
        separated(&format!("{:.0}", figure.abs().round()))
    )
}

/// The same for a figure that may be unknown.
pub fn known(figure: Option<f64>) -> String {
    figure.map_or_else(|| UNKNOWN.to_owned(), count)
}

/// A figure of any size as reports write it: with a decimal unless it is whole.
pub fn exact(figure: f64) -> String {
    let text = crate::totals::format::figures::total(figure).to_string();
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    let dot = if fraction.is_empty() { "" } else { "." };
    match whole.strip_prefix('-') {
        Some(digits) => format!("−{}{dot}{fraction}", separated(digits)),
        None => format!("{}{dot}{fraction}", separated(whole)),
    }
}

/// A part of a whole like `36.3 %`.
pub fn share(part: f64, whole: f64) -> String {
    if whole <= 0.0 || !part.is_finite() {
        return UNKNOWN.to_owned();
    }
    let percent = part / whole * 100.0;
    // A sum of nothing is -0.0, and rounding errors of means can be negative; neither has a sign.
    let percent = if percent.abs() < 0.05 { 0.0 } else { percent };
    format!("{percent:.1}{NO_BREAK}%")
}

/// A figure for an axis or a badge, like `47.9k` or `1.2M`.
pub fn short(figure: f64) -> String {
    let steps = [(1e9, "G"), (1e6, "M"), (1e3, "k")];
    for (step, unit) in steps {
        // 999.7 is written as `1k`, not as `1000`.
        if figure.abs() >= step * 0.9995 {
            let text = format!("{:.1}", figure / step);
            return text.trim_end_matches(".0").to_owned() + unit;
        }
    }
    let text = format!("{figure:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// The change of a figure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    Unknown,
    /// The figure was zero before.
    New,
    Up(String),
    Down(String),
    /// The change rounds to zero.
    None,
}

impl Change {
    /// The change from `before` to `now` in percent, with so many decimals.
    pub fn of(now: Option<f64>, before: Option<f64>, decimals: usize) -> Change {
        let (Some(now), Some(before)) = (now, before) else {
            return Change::Unknown;
        };
        if before <= 0.0 {
            return if now > 0.0 { Change::New } else { Change::None };
        }
        let percent = (now - before) / before * 100.0;
        let text = format!("{:.decimals$}", percent.abs());
        if text.bytes().all(|byte| matches!(byte, b'0' | b'.')) {
            return Change::None;
        }
        // A factor is easier to read than more than a thousand percent.
        if percent > 1000.0 {
            return Change::Up(format!("×{}", short((now / before).round())));
        }
        if percent > 0.0 {
            Change::Up(format!("+{text}{NO_BREAK}%"))
        } else {
            Change::Down(format!("−{text}{NO_BREAK}%"))
        }
    }

    pub fn text(&self) -> &str {
        match self {
            Change::Unknown => UNKNOWN,
            Change::New => "new",
            Change::Up(text) | Change::Down(text) => text,
            Change::None => "0\u{a0}%",
        }
    }

    /// The CSS class for its colour.
    pub fn class(&self) -> &'static str {
        match self {
            Change::Up(_) | Change::New => "up",
            Change::Unknown | Change::Down(_) | Change::None => "quiet",
        }
    }
}

fn separated(digits: &str) -> String {
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_and_shares() {
        for (figure, text) in [
            (0.0, "0"),
            (0.44, "0.4"),
            (99.94, "99.9"),
            (99.96, "100"),
            (1234.5, "1,235"),
            (47_902.0, "47,902"),
            (1_000_000.0, "1,000,000"),
            (-2.5, "−2.5"),
            (-4200.0, "−4,200"),
            (f64::NAN, "·"),
        ] {
            assert_eq!(count(figure), text);
        }
        for (figure, text) in [(1234.56, "1,234.6"), (12.0, "12"), (-1234.0, "−1,234")] {
            assert_eq!(exact(figure), text);
        }
        assert_eq!(
            (share(1.0, 3.0), share(1.0, 0.0)),
            ("33.3\u{a0}%".to_owned(), "·".to_owned())
        );
        for part in [0.0, -0.0, -1e-9] {
            assert_eq!(share(part, 3.0), "0.0\u{a0}%");
        }
        for (figure, text) in [
            (0.0, "0"),
            (0.25, "0.25"),
            (950.0, "950"),
            (999.7, "1k"),
            (12_340.0, "12.3k"),
            (50_000.0, "50k"),
            (1.5e6, "1.5M"),
        ] {
            assert_eq!(short(figure), text);
        }
    }

    #[test]
    fn a_change_has_its_sign_and_small_ones_are_none() {
        let text = |now, before| Change::of(Some(now), Some(before), 0).text().to_owned();
        assert_eq!(text(105.0, 100.0), "+5\u{a0}%");
        assert_eq!(text(57.0, 100.0), "−43\u{a0}%");
        assert_eq!(text(100.4, 100.0), "0\u{a0}%");
        assert_eq!(text(99.6, 100.0), "0\u{a0}%");
        assert_eq!(text(5.0, 0.0), "new");
        assert_eq!(text(0.0, 0.0), "0\u{a0}%");
        assert_eq!(text(0.0, 7.0), "−100\u{a0}%");
        assert_eq!(text(5000.0, 100.0), "×50");
        assert_eq!(Change::of(None, Some(1.0), 0).text(), "·");
    }
}
