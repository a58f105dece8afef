//! A second process that does what it is told: a line of JSON each on its standard input, and answers in
//! the same way.

use std::io::{self, BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::thread;

use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use super::interrupts::{Interrupted, Interrupts};

/// Our end of such a process; it ends with the benchmark, however that ends.
pub(crate) struct Helper {
    child: Child,
    commands: ChildStdin,
    answers: UnboundedReceiver<String>,
    interrupts: Interrupts,
}

impl Helper {
    /// Starts it.
    pub(crate) fn start(command: &mut Command) -> Self {
        let mut child = command
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
        Self {
            child,
            commands,
            answers,
            interrupts: Interrupts::new(),
        }
    }

    /// Has it do something, and waits for the answer.
    pub(crate) fn have_done<D: DeserializeOwned>(
        &mut self,
        command: &impl Serialize,
    ) -> Result<D, Interrupted> {
        let line = serde_json::to_string(command).expect("a command");
        writeln!(self.commands, "{line}").expect("the generator listens");
        let answers = &mut self.answers;
        let answer = self.interrupts.wait(|| answers.recv())?;
        let answer = answer.expect("the generator said above why it gave up");
        Ok(serde_json::from_str(&answer).expect("an answer"))
    }
}

impl Drop for Helper {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The process's own end: does what it is told until there is nothing more.
pub(crate) fn obey<C: DeserializeOwned, D: Serialize>(mut obey: impl FnMut(C) -> D) {
    for line in io::stdin().lock().lines() {
        let line = line.expect("read a command");
        let done = obey(serde_json::from_str(&line).expect("a command"));
        let done = serde_json::to_string(&done).expect("an answer");
        let mut out = io::stdout().lock();
        writeln!(out, "{done}").expect("answer");
        out.flush().expect("answer");
    }
}
