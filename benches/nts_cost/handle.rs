//! Our end of the generator.

use std::env;
use std::net::IpAddr;

use clockwright_ntp::nts::Algorithm;

use crate::common::helper::Helper;
use crate::common::interrupts::Interrupted;
use crate::generator::{ARGUMENT, Command, Done};
use crate::servers::Servers;

/// A running generator; it ends with the benchmark, however that ends.
pub(crate) struct Generator(Helper);

impl Generator {
    /// Starts it on the clients' host.
    pub(crate) fn start(servers: &Servers) -> Self {
        let program = env::current_exe().expect("know this program's file");
        let mut command = servers.client().command(&program);
        Self(Helper::start(
            command.arg(ARGUMENT).arg(servers.authority()),
        ))
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
        self.0.have_done(command).map(|done: Done| done.times)
    }
}
