//! Parses and formats values that operators and clients write: durations, dates, versions, and text to show.

pub mod date;
pub mod duration;
pub mod version;
pub mod visible;
