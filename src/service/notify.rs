//! Notifications for systemd (sd_notify(3)). Without systemd they do nothing.

use std::time::Duration;

use sd_notify::NotifyState;

/// The server answers.
pub fn ready() {
    tell(&[NotifyState::Ready]);
}

/// The configuration is being reloaded; [`ready`] has to follow.
pub fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell(&[NotifyState::Reloading, now]),
        Err(_) => tell(&[NotifyState::Reloading]),
    }
}

pub fn stopping() {
    tell(&[NotifyState::Stopping]);
}

/// Feeds the watchdog.
pub fn alive() {
    tell(&[NotifyState::Watchdog]);
}

/// The line that `systemctl status` shows.
pub fn status(text: &str) {
    tell(&[NotifyState::Status(text)]);
}

/// How often the watchdog must be fed, if it is enabled: half of its time-out.
pub fn watchdog_interval() -> Option<Duration> {
    sd_notify::watchdog_enabled().map(|limit| limit / 2)
}

fn tell(state: &[NotifyState<'_>]) {
    // Not worth a warning: the server works without systemd.
    if let Err(error) = sd_notify::notify(state) {
        log::debug!("systemd cannot be notified: {error}");
    }
}
