//! Takes the pictures of the README: `make pictures`, which first creates the ledger of the demonstration.

use std::fs;
use std::path::Path;

use crate::support::chromium::{Chromium, Picture, View};
use crate::support::client::Address;
use crate::support::scratch::{Scratch, free_port};
use crate::support::server::Server;

const WIDTH: u32 = 1240;
const HEIGHT: u32 = 1300;

#[test]
#[ignore = "writes docs/page-*.png; make pictures runs it"]
fn of_the_demo() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let demo = Path::new(env!("CARGO_BIN_EXE_upgrade-responder"));
    let demo = demo.ancestors().nth(2).unwrap().join("demo");
    assert!(
        demo.join("state").exists(),
        "there is no {}; run make pictures",
        demo.display()
    );
    let scratch = Scratch::new();
    let metrics = Address::local(free_port());
    let server = Server::new(&scratch)
        .without("--geodb")
        .arg("--application-name", "demo")
        .arg("--state-dir", demo.join("state"))
        .arg(
            "--upgrade-response-config",
            demo.join("response-config.json"),
        )
        .arg("--metrics-listen", metrics.to_string())
        .start();
    let mut chromium = Chromium::start(&scratch).expect("pictures need chromium");
    let mut take = |name: &str, dark: bool, of: Picture<'_>| {
        chromium.open(
            &format!("http://{metrics}/?last=90d"),
            View { width: WIDTH, dark },
        );
        fs::write(root.join("docs").join(name), chromium.picture(of)).unwrap();
    };
    take("page-light.png", false, Picture::Top(HEIGHT));
    take("page-dark.png", true, Picture::Top(HEIGHT));
    take("page-adoption.png", false, Picture::Element("#adoption"));
    drop(chromium);
    server.terminate();
}
