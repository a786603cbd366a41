//! Reports for other programs: CSV and JSON, the same for the command `report` and over HTTP.

pub mod csv;
#[cfg(test)]
pub mod examples;
pub mod figures;
pub mod json;
