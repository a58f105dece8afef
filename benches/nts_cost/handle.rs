//! Our end of the generator.

use std::env;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::IpAddr;
use std::process::{Child, ChildStdin, Stdio};
use std::thread;

use clockwright_ntp::nts::Algorithm;
use tokio::runtime::Runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use crate::generator::{ARGUMENT, Command, Done};
use crate::servers::Servers;

/// We were told to stop.
#[derive(Debug)]
pub(crate) struct Interrupted;

/// A running generator; it ends with the benchmark, however that ends.
pub(crate) struct Generator {
    child: Child,
    commands: ChildStdin,
    answers: UnboundedReceiver<String>,
    runtime: Runtime,
    interrupt: Signal,
    terminate: Signal,
}

impl Generator {
    /// Starts it on the clients' host.
    pub(crate) fn start(servers: &Servers) -> Self {
        let program = env::current_exe().expect("know this program's file");
        let mut child = servers
            .client()
            .command(&program)
            .arg(ARGUMENT)
            .arg(servers.authority())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("start the generator");
        let commands = child.stdin.take().expect("it has an input");
        let output = child.stdout.take().expect("it has an output");
        let (sender, answers) = unbounded_channel();
        thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("start an event loop");
        let entered = runtime.enter();
        let interrupt = signal(SignalKind::interrupt()).expect("receive SIGINT");
        let terminate = signal(SignalKind::terminate()).expect("receive SIGTERM");
        drop(entered);
        Self {
            child,
            commands,
            answers,
            runtime,
            interrupt,
            terminate,
        }
    }

    /// Has keys established `times` times, one after the other; the last ones are kept for
    /// [`Self::ask`].
    pub(crate) fn establish(
        &mut self,
        server: IpAddr,
        algorithm: Algorithm,
        times: usize,
    ) -> Result<usize, Interrupted> {
        let aead = algorithm.id();
        self.have_done(&Command::Establish {
            server,
            aead,
            times,
        })
    }

    /// Has a server asked, plainly or with keys for an algorithm; gives how many good replies came.
    pub(crate) fn ask(
        &mut self,
        server: IpAddr,
        algorithm: Option<Algorithm>,
        requests: usize,
        burst: usize,
    ) -> Result<usize, Interrupted> {
        self.have_done(&Command::Ask {
            server,
            aead: algorithm.map(Algorithm::id),
            requests,
            burst,
        })
    }

    fn have_done(&mut self, command: &Command) -> Result<usize, Interrupted> {
        let line = serde_json::to_string(command).expect("a command");
        writeln!(self.commands, "{line}").expect("the generator listens");
        let answer = self.runtime.block_on(async {
            tokio::select! {
                // First: a Ctrl-C ends the generator as well.
                biased;
                _ = self.interrupt.recv() => Err(Interrupted),
                _ = self.terminate.recv() => Err(Interrupted),
                answer = self.answers.recv() => Ok(answer),
            }
        })?;
        let answer = answer.expect("the generator said above why it gave up");
        let done: Done = serde_json::from_str(&answer).expect("an answer");
        Ok(done.times)
    }
}

impl Drop for Generator {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
