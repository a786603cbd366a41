//! Checks until it is interrupted, and prints what the server says.
//!
//! `cargo run --example checking -- https://upgrades.example.com v1.0.0`

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
    let _checks = checker.spawn(|outcome| match outcome.map(|answer| answer.decision) {
        Ok(Decision::UpToDate { latest }) => println!("{} is the latest version", latest.name),
        Ok(Decision::Upgrade { to }) => println!("upgrade to {}", to.name),
        Ok(Decision::StepNeeded {
            first: Some(first),
            then,
        }) => {
            println!("upgrade to {}, then to {}", first.name, then.name);
        }
        Ok(other) => println!("{other:?}"),
        Err(error) => println!("failed: {error}"),
    })?;
    loop {
        std::thread::park();
    }
}
