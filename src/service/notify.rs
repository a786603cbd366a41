//! What systemd is told (sd_notify(3)). Without systemd, nothing happens.

use std::time::Duration;

use sd_notify::NotifyState;

/// The server answers.
pub fn ready() {
    tell(&[NotifyState::Ready]);
}

/// The configuration is being loaded again; [`ready`] has to follow.
pub fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell(&[NotifyState::Reloading, now]),
        Err(_) => tell(&[NotifyState::Reloading]),
    }
}

pub fn stopping() {
    tell(&[NotifyState::Stopping]);
}

/// A sign of life for the watchdog.
pub fn alive() {
    tell(&[NotifyState::Watchdog]);
}

/// The line that `systemctl status` shows.
pub fn status(text: &str) {
    tell(&[NotifyState::Status(text)]);
}

/// How often systemd wants a sign of life, if it does: half of what it waits.
pub fn watchdog_interval() -> Option<Duration> {
    sd_notify::watchdog_enabled().map(|limit| limit / 2)
}

fn tell(state: &[NotifyState<'_>]) {
    // Nobody listening is the usual case.
    if let Err(error) = sd_notify::notify(state) {
        log::debug!("systemd cannot be notified: {error}");
    }
}
