//! Totals as points, and where they come from.

/// The totals of one period as points.
#[derive(Debug)]
pub struct PeriodPoints {
    /// Start and end, in seconds since 1970.
    pub start: i64,
    pub end: i64,
    /// The state of the period that the points say.
    pub revision: i64,
    /// Check-ins of the period that this server counted, where it was there for all of it.
    pub whole_total: Option<u64>,
    pub lines: Vec<Line>,
}

/// One total.
#[derive(Debug)]
pub struct Line {
    pub measurement: String,
    /// Line protocol, without a newline.
    pub text: String,
}

/// Where totals come from.
pub trait TotalsSource: Send + std::fmt::Debug {
    /// The oldest period that ended before a moment (in seconds since 1970) and was not sent as it is now. Of a
    /// measurement that another program fills, only what is this server's.
    fn next(&mut self, before: i64) -> Result<Option<PeriodPoints>, String>;

    /// All points of a period are stored or rejected, but for those of `foreign` measurements.
    fn sent(&mut self, points: &PeriodPoints, foreign: &[String]) -> Result<(), String>;
}
