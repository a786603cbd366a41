//! Asks an Upgrade Responder which versions of an application exist, and says what to do about it.
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
//! // Returns at once.
//! checks.stop();
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What it promises
//! - It never panics, and it never keeps an application from ending: [`Checks::stop`] returns at once, and the
//!   thread ends with the process.
//! - A [`Checker`] and its clones send one request per interval at most. The server says how long an interval is;
//!   less than a minute is a minute, more than 7 days are 7 days. Redirects are not followed.
//! - A request ends after 30 seconds, and at most 1 MiB of an answer is read.
//! - It sends what [`Checker::what_is_sent`] shows, and nothing else.
//! - `DO_NOT_TRACK=1` in the environment switches it off, and so does [`Builder::enabled`].
//!
//! A proxy is taken from the environment: `HTTPS_PROXY` or `http_proxy` by the address, else `ALL_PROXY`, but for
//! the hosts in `NO_PROXY`. The proxy has to allow the method CONNECT, also for a plain `http` address.

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

pub use answer::{Answer, Version};
pub use background::Checks;
pub use builder::{BuildError, Builder};
pub use checker::Checker;
pub use decision::Decision;
pub use error::CheckError;
pub use question::FieldValue;

/// The example in the README compiles.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
