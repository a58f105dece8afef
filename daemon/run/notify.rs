//! Tells the service manager how far we are (`sd_notify(3)`); without one, nobody is told.

use sd_notify::NotifyState;

/// The daemon serves and measures.
pub(super) fn ready() {
    tell(&[NotifyState::Ready]);
}

/// A reload has begun; [`ready`] ends it.
pub(super) fn reloading() {
    // The time lets systemd tell this reload from an earlier one.
    match NotifyState::monotonic_usec_now() {
        Ok(since) => tell(&[NotifyState::Reloading, since]),
        Err(_) => tell(&[NotifyState::Reloading]),
    }
}

/// The daemon is about to end.
pub(super) fn stopping() {
    tell(&[NotifyState::Stopping]);
}

/// What `systemctl status` shows.
pub(super) fn status(text: &str) {
    tell(&[NotifyState::Status(text)]);
}

fn tell(state: &[NotifyState<'_>]) {
    // A manager that does not listen is no reason to stop keeping time.
    let _ = sd_notify::notify(state);
}
