//! Totals as points, and the interface of their source.

/// The totals of one period as points.
#[derive(Debug)]
pub struct PeriodPoints {
    /// Start and end, in seconds since 1970.
    pub start: i64,
    pub end: i64,
    /// The revision of the period's totals that the points show.
    pub revision: i64,
    /// Number of check-ins of the period that this server counted, if it was running for all of the period.
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

/// The source of totals.
pub trait TotalsSource: Send + std::fmt::Debug {
    /// The oldest period that ended before a time (in seconds since 1970) and whose current totals were not sent.
    /// Measurements that another program fills too have only this server's totals.
    fn next(&mut self, before: i64) -> Result<Option<PeriodPoints>, String>;

    /// Notes that all points of a period are stored or rejected, except those of the `foreign` measurements.
    fn sent(&mut self, points: &PeriodPoints, foreign: &[String]) -> Result<(), String>;
}
