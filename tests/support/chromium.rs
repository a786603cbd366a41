//! A real browser for the tests of the page: Debian's Chromium without a window, controlled over a pipe with the
//! DevTools protocol (<https://chromedevtools.github.io/devtools-protocol/>).

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use base64::prelude::{BASE64_STANDARD, Engine};
use serde_json::{Value, json};

use super::scratch::Scratch;
use super::skip;

/// The time limit for an answer or a page; the first start on a busy machine is slow.
const LIMIT: Duration = Duration::from_secs(60);

/// A running browser with one page. Dropping it kills it.
pub struct Chromium {
    child: Child,
    commands: ChildStdin,
    messages: Receiver<Value>,
    session: String,
    next_id: u64,
    /// The events since the last navigation.
    events: Vec<Value>,
}

/// The width of the window in pixels, and the colour scheme.
#[derive(Clone, Copy, Debug)]
pub struct View {
    pub width: u32,
    pub dark: bool,
}

impl Chromium {
    /// Starts Chromium; `None` if it is not installed and the test may be skipped.
    #[track_caller]
    pub fn start(scratch: &Scratch) -> Option<Chromium> {
        let version = Command::new("chromium").arg("--version").output();
        if version.is_err() {
            skip::missing("there is no chromium");
            return None;
        }
        let profile = scratch.join("chromium");
        let mut child = spawn(&profile);
        let commands = child.stdin.take().unwrap();
        let mut replies = BufReader::new(child.stdout.take().unwrap());
        let (sender, messages) = channel();
        // This process ends with the browser.
        thread::spawn(move || {
            let mut message = Vec::new();
            while replies
                .read_until(0, &mut message)
                .is_ok_and(|read| read > 0)
            {
                message.pop();
                let value = serde_json::from_slice(&message).unwrap_or_default();
                if sender.send(value).is_err() {
                    return;
                }
                message.clear();
            }
        });
        let mut chromium = Chromium {
            child,
            commands,
            messages,
            session: String::new(),
            next_id: 0,
            events: Vec::new(),
        };
        chromium.attach();
        Some(chromium)
    }

    fn attach(&mut self) {
        let target = self.call("Target.createTarget", json!({"url": "about:blank"}));
        let target = json!({"targetId": target["targetId"], "flatten": true});
        let attached = self.call("Target.attachToTarget", target);
        self.session = attached["sessionId"].as_str().unwrap().to_owned();
        for domain in ["Page", "Runtime", "Log", "Network"] {
            self.call(&format!("{domain}.enable"), json!({}));
        }
    }

    /// Opens an address and waits until everything is loaded.
    #[track_caller]
    pub fn open(&mut self, url: &str, view: View) {
        let scheme = if view.dark { "dark" } else { "light" };
        self.call(
            "Emulation.setEmulatedMedia",
            json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]}),
        );
        self.call(
            "Emulation.setDeviceMetricsOverride",
            json!({"width": view.width, "height": 900, "deviceScaleFactor": 1, "mobile": false}),
        );
        self.events.clear();
        self.call("Page.navigate", json!({"url": url}));
        let start = Instant::now();
        while !self
            .events
            .iter()
            .any(|event| event["method"] == "Page.loadEventFired")
        {
            assert!(
                start.elapsed() < LIMIT,
                "{url} was not loaded: {:?}",
                self.events
            );
            self.receive();
        }
        // Messages that the page logs while it loads arrive after the load event, and before the next answer.
        self.eval("0");
    }

    /// The value of an expression in the page.
    #[track_caller]
    pub fn eval(&mut self, expression: &str) -> Value {
        let asked = json!({"expression": expression, "returnByValue": true});
        let mut answer = self.call("Runtime.evaluate", asked);
        assert!(
            answer["exceptionDetails"].is_null(),
            "{expression}: {answer}"
        );
        answer["result"]["value"].take()
    }

    /// The messages on the console since the page was opened, including violations of the content security policy.
    pub fn console(&self) -> Vec<String> {
        let of = [
            "Log.entryAdded",
            "Runtime.consoleAPICalled",
            "Runtime.exceptionThrown",
        ];
        let said = self
            .events
            .iter()
            .filter(|event| of.iter().any(|method| event["method"] == *method));
        said.map(|event| event["params"].to_string()).collect()
    }

    /// The URLs that were requested since the page was opened.
    pub fn requests(&self) -> Vec<String> {
        let sent = self
            .events
            .iter()
            .filter(|event| event["method"] == "Network.requestWillBeSent");
        sent.map(|event| {
            event["params"]["request"]["url"]
                .as_str()
                .unwrap_or_default()
                .to_owned()
        })
        .collect()
    }

    /// A picture (PNG) of the page down to a height, or of one element.
    pub fn picture(&mut self, of: Picture<'_>) -> Vec<u8> {
        let clip = match of {
            Picture::Top(height) => {
                format!(
                    "({{x: 0, y: 0, width: innerWidth, height: Math.min({height}, document.documentElement.scrollHeight), scale: 1}})"
                )
            }
            Picture::Element(selector) => format!(
                "(() => {{ const r = document.querySelector('{selector}').getBoundingClientRect(); \
                 return {{x: r.x + scrollX, y: r.y + scrollY, width: r.width, height: r.height, scale: 1}}; }})()"
            ),
        };
        let clip = self.eval(&clip);
        let asked = json!({"format": "png", "captureBeyondViewport": true, "clip": clip});
        let answer = self.call("Page.captureScreenshot", asked);
        BASE64_STANDARD
            .decode(answer["data"].as_str().unwrap())
            .unwrap()
    }

    /// Sends a command and waits for its answer; other messages are kept as events.
    #[track_caller]
    fn call(&mut self, method: &str, params: Value) -> Value {
        self.next_id += 1;
        let mut command = json!({"id": self.next_id, "method": method, "params": params});
        if !self.session.is_empty() {
            command["sessionId"] = json!(self.session);
        }
        let mut bytes = command.to_string().into_bytes();
        bytes.push(0);
        self.commands.write_all(&bytes).unwrap();
        loop {
            let mut message = self.receive();
            if message["id"] == self.next_id {
                assert!(message["error"].is_null(), "{method}: {message}");
                return message["result"].take();
            }
        }
    }

    #[track_caller]
    fn receive(&mut self) -> Value {
        let message = self.messages.recv_timeout(LIMIT);
        let message = message.unwrap_or_else(|error| panic!("chromium does not answer: {error}"));
        if message["id"].is_null() {
            self.events.push(message.clone());
        }
        message
    }
}

/// The part of the page in a picture.
#[derive(Clone, Copy, Debug)]
pub enum Picture<'a> {
    /// The top of the page in its full width, up to this height in pixels.
    Top(u32),
    /// The first element that matches a selector.
    Element(&'a str),
}

impl Drop for Chromium {
    fn drop(&mut self) {
        // The helper processes of Chromium end with it.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Chromium reads and writes the protocol at the file descriptors 3 and 4; the shell connects them to stdin and stdout.
fn spawn(profile: &Path) -> Child {
    let exec = "exec chromium \"$@\" 3<&0 4>&1 0</dev/null 1>/dev/null";
    Command::new("sh")
        .args([
            "-c",
            exec,
            "chromium",
            "--headless=new",
            "--remote-debugging-pipe",
        ])
        // Chromium has no sandbox as root; the pages are the project's own.
        .args([
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--hide-scrollbars",
        ])
        .args([
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
        ])
        .arg(format!("--user-data-dir={}", profile.display()))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}
