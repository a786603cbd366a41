//! One period recomputed from its points, as InfluxDB's own continuous query would have done it.

use std::time::Duration;

use super::lengths::{Lengths, Piece};
use super::periods::Period;
use super::set_up::{InForce, passed_on};
use crate::delivery::influx::quoted;
use crate::delivery::influx::{Influx, Outcome, QueryError, Series, TIMEOUT};
use crate::line::encode::MEASUREMENT;

/// Recomputing a period reads all its points.
const RECOMPUTE_TIMEOUT: Duration = Duration::from_secs(60);

/// What came of it.
pub enum Recomputed {
    Done,
    /// It is a period of all check-ins, and has none.
    Nothing,
}

/// Recomputes the totals of one period from its points. Doing it again changes nothing.
pub fn recompute(
    influx: &Influx,
    in_force: &InForce,
    lengths: &Lengths,
    period: &Period,
) -> Result<Recomputed, QueryError> {
    let mut periods = in_force.periods.iter();
    let Some((downsampling, _)) = periods.find(|(d, _)| d.target == period.target) else {
        // Its query was dropped meanwhile, and with it the reason to have totals.
        return Ok(Recomputed::Done);
    };
    let pieces = lengths.pieces(period);
    let mut nothing = true;
    for Piece {
        start,
        end,
        seconds,
    } in &pieces
    {
        let statement = format!(
            "SELECT count(\"value\") AS \"total\" INTO {} FROM {} WHERE time >= {start}s AND time < \
             {end}s GROUP BY time({seconds}s){}",
            quoted(&downsampling.target),
            quoted(MEASUREMENT),
            downsampling.group(),
        );
        // A user that may write but not read is no reason to stop delivering.
        match passed_on(influx.query(&statement, RECOMPUTE_TIMEOUT)) {
            Ok(Ok(answer)) => nothing &= written(&answer) == Some(0),
            Ok(Err(refusal)) => return Err(QueryError::Refused(refusal)),
            Err(trouble) => return Err(QueryError::Trouble(trouble)),
        }
    }
    // Beside totals of another length a zero says nothing true.
    let whole = matches!(&pieces[..], [piece] if piece.is(period));
    Ok(match nothing && whole && downsampling.is_of_all() {
        true => Recomputed::Nothing,
        false => Recomputed::Done,
    })
}

/// How many totals a `SELECT … INTO` has written, by its answer.
fn written(answer: &[Series]) -> Option<u64> {
    let series = answer.first()?;
    let column = series.columns.iter().position(|name| name == "written")?;
    series.values.first()?.get(column)?.as_u64()
}

/// Writes that a period has no check-ins. Points that are delivered later replace it.
pub fn write_zero(influx: &Influx, period: &Period) -> Result<(), QueryError> {
    let timestamp = period.start.saturating_mul(1_000_000_000);
    let line = format!("{} total=0i {timestamp}\n", period.target);
    match influx.write(line.as_bytes(), TIMEOUT) {
        Outcome::Stored => Ok(()),
        Outcome::Kept(trouble) => Err(QueryError::Trouble(trouble)),
        Outcome::PartlyRefused(why) | Outcome::Contradiction(why) => Err(QueryError::Refused(why)),
        Outcome::TooLarge(_) => Err(QueryError::Refused("a line is too large".to_owned())),
    }
}
