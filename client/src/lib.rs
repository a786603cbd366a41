//! Asks an Upgrade Responder which versions of an application exist, and tells the application whether to upgrade.
//!
//! ```no_run
//! use upgrade_responder_client::{Checker, Decision};
//!
//! let checker = Checker::builder("https://upgrades.example.com", env!("CARGO_PKG_VERSION"))
//!     .tag("kubernetesVersion", "v1.31.2")
//!     .field("nodeCount", 3)
//!     .build()?;
//! let checks = checker.spawn(|outcome| match outcome {
//!     Ok(answer) => {
//!         if let Decision::Upgrade { to } = &answer.decision {
//!             println!("version {} is available", to.name);
//!         }
//!     }
//!     Err(error) => eprintln!("upgrade check: {error}"),
//! })?;
//! // Returns immediately.
//! checks.stop();
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What it promises
//! - It never panics, and it never keeps an application from ending: [`Checks::stop`] returns immediately, and the
//!   thread ends with the process.
//! - A [`Checker`] and its clones send at most one request per interval. The server gives the interval, which is
//!   limited to 1 minute to 7 days. Redirects are not followed.
//! - A request ends after 30 seconds, and at most 1 MiB of an answer is read.
//! - It sends what [`Checker::what_is_sent`] shows, and nothing else.
//! - `DO_NOT_TRACK=1` in the environment switches it off, and so does [`Builder::enabled`].
//!
//! The environment names the proxy: `HTTPS_PROXY` for `https` URLs, `http_proxy` for `http` URLs, or else `ALL_PROXY`.
//! Hosts in `NO_PROXY` are asked without a proxy. The proxy has to allow the method CONNECT, also for `http` URLs.

mod answer;
mod background;
mod builder;
mod checker;
mod decision;
mod error;
mod exchange;
mod pace;
mod proxy;
mod question;
#[cfg(test)]
mod tests;
mod version;

pub use answer::Answer;
pub use background::Checks;
pub use builder::Builder;
pub use checker::Checker;
pub use decision::Decision;
pub use error::{BuildError, CheckError};
pub use question::FieldValue;
pub use version::Version;

/// The example in the README compiles.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
