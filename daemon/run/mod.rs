//! `clockwright run`: the daemon.
//!
//! One thread and one event loop. All that happens - a packet, a stamp, a timer, a signal, a
//! question on the control socket - becomes a call on `Daemon`, which never waits.

mod alarm;
mod announced;
mod auth;
mod companions;
mod daemon;
mod desk;
mod disruptions;
mod dormant;
mod doubt;
mod events;
mod fallback;
mod follow;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod key_server;
mod keys;
mod leap;
mod leap_file;
mod leap_kernel;
mod leap_list;
mod leap_votes;
mod limiter;
mod local;
mod logging;
mod moved;
mod naming;
mod notify;
mod ptp;
mod refclocks;
mod reload;
mod replace;
mod restore;
mod rivals;
mod serve;
mod served;
mod sessions;
mod smears;
mod sources;
mod stamping;
mod standing;
mod start;
mod state;
mod steering;
mod temperature;
#[cfg(test)]
mod tests;
mod view;
mod watch;

use std::cell::RefCell;
use std::future::{pending, ready};
use std::io;
use std::rc::Rc;
use std::sync::Arc;

use clockwright_sys::link::{self, Change};
use clockwright_timebase::{Duration, Raw, Timestamp};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;
use tracing::{error, info, warn};

use crate::cli::{Exit, RunArgs};
use crate::config::Config;
use crate::control::{ControlSocket, View};
use crate::measure::{Arrival, Wake, Wakes, Woken};
use crate::output::complain;
use crate::serve::board::{Board, Needs};
use alarm::Alarm;
use daemon::{Daemon, Finding};
use dormant::Dormant;
pub(crate) use limiter::Limiter;
use start::StartError;
use watch::{ClockWatch, Disruption};

/// Runs the daemon until it is told to stop.
pub fn main(args: &RunArgs) -> Exit {
    let config = match Config::load(&args.config) {
        Ok(loaded) => loaded.config,
        Err(invalid) => {
            complain(&format!("the configuration is not valid\n{invalid}"));
            return Exit::Usage;
        }
    };
    let level = logging::begin(config.log.level);
    // Only the looking up of names uses other threads, and those end soon after.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        // How many tasks may run before sockets are looked at. Those of clients who want keys are
        // many, and take long: they take turns besides (nts/server/turns.rs).
        .event_interval(8)
        .max_blocking_threads(4)
        .thread_keep_alive(std::time::Duration::from_secs(1))
        .build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(failure) => {
            error!("cannot start: {failure}");
            return Exit::Failed;
        }
    };
    let ended = runtime.block_on(async {
        let (wakes, woken) = Wakes::new()?;
        let (findings, found) = mpsc::unbounded_channel();
        let started = start::start(args, config, level, wakes, findings)?;
        let signals = Signals::new()?;
        let feed = Feed::new(woken, found)?;
        let events = Events {
            signals,
            watch: watch_clock(),
            links: watch_links(),
            board: Arc::clone(started.daemon.serving.service.board()),
        };
        run(
            Rc::new(RefCell::new(started.daemon)),
            started.control,
            feed,
            events,
        )
        .await;
        Ok::<(), StartError>(())
    });
    // A name that is still being looked up must not hold the process.
    runtime.shutdown_background();
    match ended {
        Ok(()) => Exit::Done,
        Err(failure) => {
            error!("{failure}");
            Exit::Failed
        }
    }
}

/// What seldom happens to the daemon.
struct Events {
    signals: Signals,
    watch: Option<ClockWatch>,
    links: Option<link::Watch>,
    /// Where those who serve say what they need.
    board: Arc<Board>,
}

/// What the daemon's own ports, names and timers have to say.
struct Feed {
    woken: Woken,
    found: mpsc::UnboundedReceiver<Finding>,
    alarm: Alarm,
}

/// Something that happened.
enum Happening {
    Port(Arrival),
    Found(Finding),
    Needed(Needs),
    Due,
    Disrupted(Disruption),
    Links(Vec<Change>),
    Reload,
    Stop(&'static str),
}

/// The signals that mean something to a daemon.
struct Signals {
    hangup: Signal,
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self {
            hangup: signal(SignalKind::hangup())?,
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }
}

/// Without the watch the daemon works, and takes a clock that was set for a bad sample.
fn watch_clock() -> Option<ClockWatch> {
    ClockWatch::new()
        .inspect_err(|failure| {
            warn!("cannot watch for sleep of the host and setting of its clock: {failure}");
        })
        .ok()
}

/// Without it, interfaces that come later are not stamped by hardware.
fn watch_links() -> Option<link::Watch> {
    link::Watch::new()
        .inspect_err(|failure| {
            warn!("cannot watch for interfaces that come, go or change: {failure}");
        })
        .ok()
}

impl Feed {
    fn new(woken: Woken, found: mpsc::UnboundedReceiver<Finding>) -> io::Result<Self> {
        Ok(Self {
            alarm: Alarm::new(&woken)?,
            woken,
            found,
        })
    }

    /// Waits for what happens next, until `due` at most, which is `idle` from now.
    async fn next(&mut self, (due, idle): (Timestamp<Raw>, Duration)) -> Happening {
        let is_due = idle <= Duration::ZERO;
        if !is_due {
            self.alarm.set(due, idle);
        }
        // The daemon holds the other end of the queue, so it never closes; waking ends only when the
        // runtime goes down, and the process with it.
        tokio::select! {
            Some(woken) = self.woken.next() => match woken {
                Wake::Port(arrival) => Happening::Port(arrival),
                Wake::Timer => {
                    self.alarm.heard();
                    Happening::Due
                }
            },
            Some(finding) = self.found.recv() => Happening::Found(finding),
            () = ready(()), if is_due => Happening::Due,
        }
    }
}

impl Events {
    /// Waits for what happens next, and is given back with it.
    async fn next(mut self) -> (Self, Happening) {
        let disrupted = async {
            match &mut self.watch {
                Some(watch) => watch.disrupted().await,
                None => pending().await,
            }
        };
        let changed = async {
            loop {
                match &mut self.links {
                    // A socket that cannot be read stays so: it is read no more.
                    Some(links) => match links.changes().await {
                        Ok(changes) => break changes,
                        Err(failure) => {
                            warn!("changes of interfaces are noticed no more: {failure}");
                            self.links = None;
                        }
                    },
                    None => pending().await,
                }
            }
        };
        let happening = tokio::select! {
            changes = changed => Happening::Links(changes),
            disruption = disrupted => Happening::Disrupted(disruption),
            needs = self.board.asked() => Happening::Needed(needs),
            _ = self.signals.hangup.recv() => Happening::Reload,
            _ = self.signals.terminate.recv() => Happening::Stop("SIGTERM"),
            _ = self.signals.interrupt.recv() => Happening::Stop("SIGINT"),
        };
        (self, happening)
    }
}

/// The event loop. Ends when the process is told to stop; the control socket is removed then.
async fn run(
    daemon: Rc<RefCell<Daemon>>,
    control: Option<ControlSocket>,
    mut feed: Feed,
    events: Events,
) {
    let asked = Rc::clone(&daemon);
    let view: Rc<dyn View> = asked;
    let mut answer = Dormant::new(async {
        if let Some(control) = &control
            && let Err(failure) = control.serve(view).await
        {
            error!("the control socket cannot be used: {failure}");
        }
        pending::<()>().await;
    });
    let mut seldom = Dormant::new(events.next());
    notify::ready();
    loop {
        let due = daemon.borrow().due();
        let happening = tokio::select! {
            biased;
            (events, happening) = &mut seldom => {
                seldom = Dormant::new(events.next());
                happening
            }
            () = &mut answer => continue,
            happening = feed.next(due) => happening,
        };
        if let Happening::Stop(signal) = happening {
            info!("stopping: {signal}");
            notify::stopping();
            daemon.borrow_mut().stop();
            return;
        }
        handle(&mut daemon.borrow_mut(), happening);
    }
}

/// Tells the daemon what happened, and those who serve what they are to go by now.
fn handle(daemon: &mut Daemon, happening: Happening) {
    match happening {
        Happening::Port(arrival) => daemon.handle_port(arrival),
        Happening::Found(finding) => daemon.handle_finding(finding),
        Happening::Needed(needs) => daemon.handle_needs(needs),
        Happening::Due => daemon.handle_timeouts(),
        Happening::Disrupted(disruption) => daemon.handle_disruption(disruption),
        Happening::Links(changes) => daemon.handle_links(changes),
        Happening::Reload => {
            notify::reloading();
            daemon.reload();
            notify::ready();
        }
        Happening::Stop(_) => daemon.stop(),
    }
    daemon.post();
}
