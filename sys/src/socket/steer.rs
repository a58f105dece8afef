//! Which of several sockets on one port gets a client's datagrams.
//!
//! Sockets that share a port (`SO_REUSEPORT`) are chosen among by the kernel, which hashes both
//! addresses and both ports: a client that asks from a new port each time (RFC 9109) meets another
//! socket each time. A small program in the kernel's classic BPF chooses by the client's address
//! alone. It goes by *buckets*, each of which belongs to a socket by consistent hashing: when there
//! is one socket more, only the buckets that it gets change hands.

use std::io;
use std::os::fd::BorrowedFd;

use super::option;

/// Number of buckets, a power of two. With so many the fullest of 64 sockets has about twice its
/// share.
const BUCKETS: u32 = 512;
const BUCKET_BITS: u32 = BUCKETS.trailing_zeros();

/// The most sockets that one port's datagrams are spread over.
pub const MAX_SOCKETS: u16 = 256;

/// Where the network header begins, as an offset that programs can load from
/// (`SKF_NET_OFF`, linux/filter.h).
const NETWORK: u32 = 0xfff0_0000;
/// Offsets of the source address in the headers of IPv4 (RFC 791) and IPv6 (RFC 8200).
const SOURCE_V4: u32 = 12;
const SOURCE_V6: u32 = 8;

/// Chooses among `sockets` sockets, the ones that were bound to the port of `fd` in this order.
/// `seed` makes the choice one that clients cannot foresee; it is to be the same for one port.
pub(super) fn attach(fd: BorrowedFd<'_>, ipv6: bool, sockets: u16, seed: u32) -> io::Result<()> {
    let program = program(ipv6, sockets, seed);
    let length =
        libc::c_ushort::try_from(program.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
    let header = libc::sock_fprog {
        len: length,
        filter: program.as_ptr().cast_mut(),
    };
    // SAFETY: `header` points at `program`, which outlives the call and has the length it says; the
    // kernel copies both and writes neither.
    unsafe {
        option::set_raw(
            fd,
            libc::SOL_SOCKET,
            libc::SO_ATTACH_REUSEPORT_CBPF,
            &header,
        )
    }
}

/// The socket that a bucket belongs to (Lamping and Veach, "A fast, minimal memory, consistent hash
/// algorithm", 2014): of all buckets, one more socket takes its share from the others evenly, and
/// nothing else changes.
fn owner(bucket: u32, sockets: u16) -> u32 {
    let mut key = u64::from(bucket)
        .wrapping_add(1)
        .wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let (mut owner, mut next) = (0_i64, 0_i64);
    while next < i64::from(sockets.max(1)) {
        owner = next;
        key = key.wrapping_mul(2_862_933_555_777_941_757).wrapping_add(1);
        let fraction = f64::from(1_u32 << 31) / ((key >> 33) + 1) as f64;
        #[expect(
            clippy::cast_possible_truncation,
            reason = "sockets are few: it stays small"
        )]
        {
            next = ((owner + 1) as f64 * fraction) as i64;
        }
    }
    u32::try_from(owner).unwrap_or(0)
}

/// The program: hash, then a tree of comparisons down to the runs of buckets with one owner.
fn program(ipv6: bool, sockets: u16, seed: u32) -> Vec<libc::sock_filter> {
    let mut code = hash(ipv6, seed);
    let mut runs: Vec<(u32, u32)> = Vec::new();
    for bucket in 0..BUCKETS {
        let owner = owner(bucket, sockets);
        if runs.last().is_none_or(|(_, last)| *last != owner) {
            runs.push((bucket, owner));
        }
    }
    code.extend(tree(&runs));
    code
}

/// Leaves the bucket of the source address in the accumulator. All of an IPv4 address counts; of one
/// of IPv6 the half that a network has to itself, of whose other half a host may have many.
fn hash(ipv6: bool, seed: u32) -> Vec<libc::sock_filter> {
    // Odd, so that no bit of the address is lost.
    let (first, second) = (seed | 1, seed.rotate_left(16) | 1);
    let load = |offset| statement(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, NETWORK + offset);
    let multiply = |by| statement(libc::BPF_ALU | libc::BPF_MUL | libc::BPF_K, by);
    let shift = |by| statement(libc::BPF_ALU | libc::BPF_RSH | libc::BPF_K, by);
    let keep = statement(libc::BPF_MISC | libc::BPF_TAX, 0);
    let mix = statement(libc::BPF_ALU | libc::BPF_XOR | libc::BPF_X, 0);
    let mut code = if ipv6 {
        vec![
            load(SOURCE_V6),
            multiply(second),
            keep,
            load(SOURCE_V6 + 4),
            mix,
        ]
    } else {
        vec![load(SOURCE_V4)]
    };
    code.extend([multiply(first), keep, shift(15), mix]);
    code.extend([multiply(0x85eb_ca6b), shift(u32::BITS - BUCKET_BITS)]);
    code
}

/// Comparisons that lead from a bucket to its owner; `runs` are the first buckets of each run and
/// their owners, ascending.
fn tree(runs: &[(u32, u32)]) -> Vec<libc::sock_filter> {
    let (lower, upper) = runs.split_at(runs.len() / 2);
    let (Some((_, owner)), Some((first, _))) = (runs.first(), upper.first()) else {
        return vec![statement(libc::BPF_RET | libc::BPF_K, 0)];
    };
    if runs.len() == 1 {
        return vec![statement(libc::BPF_RET | libc::BPF_K, *owner)];
    }
    let below = tree(lower);
    // Conditional jumps reach 255 instructions only; others reach as far as is wanted.
    let past = u32::try_from(below.len()).unwrap_or(u32::MAX);
    let mut code = vec![
        jump(libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K, *first, 0, 1),
        statement(libc::BPF_JMP | libc::BPF_JA, past),
    ];
    code.extend(below);
    code.extend(tree(upper));
    code
}

fn statement(code: u32, k: u32) -> libc::sock_filter {
    jump(code, k, 0, 0)
}

fn jump(code: u32, k: u32, yes: u8, no: u8) -> libc::sock_filter {
    libc::sock_filter {
        // All codes are below 256.
        code: u16::try_from(code).unwrap_or_default(),
        jt: yes,
        jf: no,
        k,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owners(sockets: u16) -> Vec<u32> {
        (0..BUCKETS).map(|bucket| owner(bucket, sockets)).collect()
    }

    #[test]
    fn one_socket_more_takes_its_share_and_changes_nothing_else() {
        for sockets in 1..64 {
            let (before, after) = (owners(sockets), owners(sockets + 1));
            let moved = before.iter().zip(&after).filter(|(b, a)| b != a);
            let all_to_the_new = moved.clone().all(|(_, now)| *now == u32::from(sockets));
            assert!(all_to_the_new, "{sockets}");
            let share = BUCKETS as usize / (usize::from(sockets) + 1);
            assert!(moved.count() <= 2 * share + 8, "{sockets}");
        }
    }

    #[test]
    fn every_socket_has_its_share() {
        for sockets in [2_u16, 3, 4, 8, 16, 32, 64] {
            let owners = owners(sockets);
            for socket in 0..u32::from(sockets) {
                let buckets = owners.iter().filter(|owner| **owner == socket).count();
                let fair = BUCKETS as usize / usize::from(sockets);
                assert!(
                    buckets * 4 >= fair && buckets <= fair * 5 / 2,
                    "{socket} of {sockets}: {buckets}"
                );
            }
        }
    }

    /// Runs a program's tree on a bucket as the kernel does.
    fn walk(code: &[libc::sock_filter], accumulator: u32) -> u32 {
        let mut at = 0;
        loop {
            let step = &code[at];
            at += 1;
            match u32::from(step.code) {
                c if c == libc::BPF_RET | libc::BPF_K => return step.k,
                c if c == libc::BPF_JMP | libc::BPF_JA => at += step.k as usize,
                c if c == libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K => {
                    let taken = if accumulator >= step.k {
                        step.jt
                    } else {
                        step.jf
                    };
                    at += usize::from(taken);
                }
                other => panic!("instruction {other:#x}"),
            }
        }
    }

    #[test]
    fn the_program_finds_each_buckets_owner_and_is_short_enough_for_the_kernel() {
        for sockets in [1, 2, 3, 7, 64, MAX_SOCKETS] {
            let code = program(false, sockets, 1);
            assert!(code.len() <= 4096, "BPF_MAXINSNS: {}", code.len());
            let hash = hash(false, 1).len();
            for bucket in 0..BUCKETS {
                assert_eq!(walk(&code[hash..], bucket), owner(bucket, sockets));
            }
        }
    }
}
