//! Checks until it is interrupted, and prints the advice that follows from each answer.
//!
//! `cargo run --package upgrade-responder-client --example checking -- http://127.0.0.1:8314 v1.6.0`

use std::time::Duration;

use upgrade_responder_client::{Checker, Decision};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let url = arguments.next().ok_or("expected the server's address")?;
    let version = arguments.next().unwrap_or("v1.0.0".to_owned());
    let checker = Checker::builder(url, version)
        .tag("kubernetesVersion", "v1.31.2")
        .field("nodeCount", 3)
        .start_within(Duration::from_secs(1))
        .interval(Duration::from_secs(60))
        .build()?;
    println!(
        "enabled: {}\n{}",
        checker.is_enabled(),
        checker.what_is_sent()
    );
    let _checks = checker.spawn(|outcome| match outcome {
        Ok(answer) => println!("{}", advice(&answer.decision)),
        Err(error) => println!("the check failed: {error}"),
    })?;
    loop {
        std::thread::park();
    }
}

/// The decision in words for the user.
fn advice(decision: &Decision) -> String {
    match decision {
        Decision::UpToDate { latest } => format!("{} is the latest version", latest.name),
        Decision::Upgrade { to } => format!("upgrade to {}", to.name),
        Decision::StepNeeded {
            first: Some(first),
            then,
        } => format!("upgrade to {}, then to {}", first.name, then.name),
        // No version may be offered for an upgrade here: the server lists none that this one can be upgraded to.
        Decision::StepNeeded { first: None, then } => format!(
            "{} is available, but not as an upgrade from this version; ask the publisher how to upgrade",
            then.name
        ),
        Decision::NotComparable { latest } => {
            format!(
                "the latest version is {}, yours is not numbered",
                latest.name
            )
        }
        Decision::NoneSupported { reason } => match reason {
            Some(reason) => format!("no version is supported here: {reason}"),
            None => "no version is supported here".to_owned(),
        },
        // A later version of the crate may have other decisions.
        _ => "update this example".to_owned(),
    }
}
