//! Writes two years of invented totals of an application, to demonstrate the page. `demo-fleet FOLDER` writes
//! `totals.csv` in the format of `export-totals`, and `response-config.json` with the releases.
//!
//! Runs within the same hour write the same releases and the same totals of finished periods.

mod files;
mod fleet;

use std::path::Path;
use std::process::ExitCode;

use jiff::Timestamp;

fn main() -> ExitCode {
    let Some(folder) = std::env::args_os().nth(1) else {
        eprintln!("usage: demo-fleet FOLDER");
        return ExitCode::from(2);
    };
    match files::write(Path::new(&folder), Timestamp::now().as_second()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("demo-fleet: {}: {error}", Path::new(&folder).display());
            ExitCode::FAILURE
        }
    }
}
