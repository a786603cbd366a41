//! Values as operators and clients write them: durations, dates and versions.

pub mod date;
pub mod duration;
pub mod version;
pub mod visible;
