//! Makes up two years of totals of an application, for looking at the page: `demo-fleet FOLDER` writes `totals.csv`
//! as `export-totals` does, and `response-config.json` with the releases in it.
//!
//! Nothing of it was counted anywhere. The same hour gives the same files.

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
