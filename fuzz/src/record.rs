//! Streams of key establishment.

use arbitrary::{Arbitrary, Result, Unstructured};

/// What comes from a peer.
#[derive(Debug, Arbitrary)]
pub struct Stream<'a> {
    records: Vec<Record<'a>>,
    ends: bool,
    /// Octets that follow.
    after: &'a [u8],
}

#[derive(Debug, Arbitrary)]
struct Record<'a> {
    kind: Kind,
    told: Option<u16>,
    body: Body<'a>,
}

/// Type and critical bit.
#[derive(Debug)]
struct Kind(u16);

impl<'a> Arbitrary<'a> for Kind {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        let critical = u16::from(u.arbitrary::<bool>()?) << 15;
        let kind = if u.ratio(7, 8)? {
            *u.choose(&[1, 2, 3, 4, 5, 6, 7, 0, 8, 1024])?
        } else {
            u.arbitrary()?
        };
        Ok(Self(kind ^ critical))
    }
}

#[derive(Debug, Arbitrary)]
enum Body<'a> {
    Numbers(Vec<Number>),
    Cookie(u16),
    Name(&'a str),
    Octets(&'a [u8]),
}

/// A number that means something in one record or another, mostly.
#[derive(Debug)]
struct Number(u16);

impl<'a> Arbitrary<'a> for Number {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        if u.ratio(3, 4)? {
            u.choose(&[0, 15, 30, 123, 0x8001]).copied().map(Self)
        } else {
            u.arbitrary().map(Self)
        }
    }
}

impl Stream<'_> {
    /// All of it.
    pub fn octets(&self) -> Vec<u8> {
        let mut octets = Vec::new();
        for Record { kind, told, body } in &self.records {
            let body = body.octets();
            let length = u16::try_from(body.len()).unwrap_or(u16::MAX);
            octets.extend(kind.0.to_be_bytes());
            octets.extend(told.unwrap_or(length).to_be_bytes());
            octets.extend(body);
        }
        if self.ends {
            octets.extend([0x80, 0, 0, 0]);
        }
        octets.extend(self.after);
        octets
    }
}

impl Body<'_> {
    fn octets(&self) -> Vec<u8> {
        match self {
            Self::Numbers(numbers) => numbers.iter().flat_map(|n| n.0.to_be_bytes()).collect(),
            Self::Cookie(length) => vec![7; usize::from(length % 300)],
            Self::Name(name) => name.as_bytes().to_vec(),
            Self::Octets(octets) => octets.to_vec(),
        }
    }
}

/// The lengths after which a reader of `octets` looks again, up to all of them.
pub fn lengths(cuts: &[u16], octets: &[u8]) -> Vec<usize> {
    let mut lengths: Vec<usize> = cuts
        .iter()
        .map(|cut| usize::from(*cut))
        .filter(|cut| *cut < octets.len())
        .collect();
    lengths.sort_unstable();
    lengths.push(octets.len());
    lengths
}
