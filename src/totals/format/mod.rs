//! Writes reports for other programs, as CSV and JSON. The command `report` and HTTP use the same formats.

pub mod csv;
#[cfg(test)]
pub mod examples;
pub mod figures;
pub mod json;
