//! The code that runs for every packet and every sample.

mod nts;

use std::hint::black_box;

use clockwright_discipline::{
    ClockReading, Config, Discipline, Learnt, Role, Sample, SourceId, SourceOptions, Standing,
    StepPolicy, Upstream,
};
use clockwright_ntp::{
    Entropy, Leap, ReferenceId, ReplyBuffer, Server, ServerConfig, SystemVariables,
};
use clockwright_timebase::{Duration, Poll, Timestamp, Utc};
use criterion::{Criterion, criterion_group, criterion_main};

/// Not random at all; the cost of the operating system's generator is not what is measured.
struct Counter(u8);

impl Entropy for Counter {
    fn fill(&mut self, buf: &mut [u8]) {
        for octet in buf {
            self.0 = self.0.wrapping_mul(109).wrapping_add(89);
            *octet = self.0;
        }
    }
}

/// A data-minimised NTPv4 request: mode 3 and a random transmit timestamp.
fn basic_request() -> [u8; 48] {
    let mut request = [0; 48];
    request[0] = 0x23;
    request[40..].copy_from_slice(&[7, 6, 5, 4, 3, 2, 1, 9]);
    request
}

/// What a server says of a clock that is right.
fn system(now: Timestamp<Utc>) -> SystemVariables {
    SystemVariables {
        leap: Leap::None,
        stratum: 2,
        precision: -30,
        root_delay: Duration::from_micros(100),
        root_dispersion: Duration::from_micros(10),
        reference_id: ReferenceId(*b"PHC\0"),
        reference_time: now,
    }
}

fn serve(c: &mut Criterion) {
    let mut server = Server::new(ServerConfig::default());
    let now = Timestamp::from_timespec(1_795_392_000, 0);
    let system = system(now);
    let request = basic_request();
    let mut entropy = Counter(1);
    let mut buffer = ReplyBuffer::new();
    c.bench_function("server: one basic request", |b| {
        b.iter(|| {
            let request = black_box(&request);
            let reply = server.handle(request, now, &system, &mut entropy, &mut buffer);
            reply.map(|reply| reply.write(now)[47])
        });
    });
}

fn discipline(c: &mut Criterion) {
    let mut discipline = Discipline::new(Config {
        step: StepPolicy {
            above: Duration::from_millis(100),
            first: 3,
        },
        max_slew: 0.05,
        learnt: Learnt::default(),
    });
    let poll = (Poll::new(0), Poll::new(0));
    let id = SourceId(0);
    let standing = Standing::Ordinary;
    discipline.add_source(
        id,
        SourceOptions {
            poll,
            standing,
            role: Role::default(),
        },
        Timestamp::EPOCH,
    );
    let utc = Timestamp::from_timespec(1_795_392_000, 0);
    let mut now = Timestamp::EPOCH;
    let mut noise = 0_i64;
    c.bench_function("discipline: one sample", |b| {
        b.iter(|| {
            now += Duration::from_secs(1);
            noise = (noise * 1_103_515_245 + 12_345) & 0x3fff;
            let sample = Sample {
                at: now,
                offset: utc.since_epoch() + Duration::from_nanos(noise / 2),
                delay: Duration::from_nanos(200_000 + noise),
                uncertainty: Duration::ZERO,
                upstream: Upstream::default(),
            };
            let reading = ClockReading {
                raw: now,
                clock: utc + now.since_epoch(),
            };
            discipline.handle_sample(id, &sample, reading);
            while discipline.poll_action().is_some() {}
        });
    });
}

criterion_group!(
    hot_paths,
    serve,
    discipline,
    nts::ciphers,
    nts::cookies,
    nts::serve,
    nts::ask
);
criterion_main!(hot_paths);
