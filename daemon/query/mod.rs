//! `clockwright query`: what servers say of the time; nothing is changed.

mod report;

use clockwright_timebase::Duration;

use crate::cli::{Exit, FamilyArgs, NtsArgs, QueryArgs};
use crate::clock::Observed;
use crate::config::ServerName;
use crate::control::Steering;
use crate::measure::{Answers, Family, NtsPlan, Plan, survey};
use crate::output::{self, Paint, complain};
use report::ServerReport;

/// Asks the servers and prints what they say.
pub fn main(args: &QueryArgs) -> Exit {
    let plan = Plan {
        count: args.count,
        interleaved: args.interleaved,
        family: family(args.family),
        nts: nts(&args.nts),
    };
    let answers = match ask(&args.servers, &plan) {
        Ok(answers) => answers,
        Err(error) => {
            complain(&format!("cannot ask: {error}"));
            return Exit::Failed;
        }
    };
    let reports: Vec<ServerReport> = answers.iter().map(ServerReport::new).collect();
    let lines = if args.json {
        match serde_json::to_string_pretty(&reports) {
            Ok(text) => vec![text],
            Err(error) => {
                complain(&format!("cannot write JSON: {error}"));
                return Exit::Failed;
            }
        }
    } else {
        report::lines(&reports, Paint::for_stdout())
    };
    match output::print(&lines) {
        Exit::Done if reports.iter().all(|report| report.answered) => Exit::Done,
        Exit::Done => Exit::Failed,
        failed => failed,
    }
}

/// Asks the servers, in a runtime of its own; offsets are the system clock's.
pub(crate) fn ask(servers: &[ServerName], plan: &Plan) -> std::io::Result<Vec<Answers>> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let clock = Observed::new(Steering::Disabled);
    let answers = runtime.block_on(survey(servers, plan, &clock));
    // A name that is still being looked up must not hold the process.
    runtime.shutdown_background();
    Ok(answers)
}

/// `-4` and `-6`.
pub(crate) const fn family(args: FamilyArgs) -> Family {
    match (args.ipv4, args.ipv6) {
        (true, _) => Family::V4,
        (_, true) => Family::V6,
        _ => Family::Any,
    }
}

/// `--nts`.
pub(crate) fn nts(args: &NtsArgs) -> Option<NtsPlan> {
    args.nts.then(|| NtsPlan {
        trusted_certificates: args.trust.clone(),
    })
}

/// Of several measurements the one to go by: the one with the shortest round trip, which
/// waited least.
pub(crate) fn best(answers: &Answers) -> Option<&crate::measure::Taken> {
    answers
        .taken
        .iter()
        .min_by_key(|taken| taken.measured.delay.max(Duration::ZERO))
}
