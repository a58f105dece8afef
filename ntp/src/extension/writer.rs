//! Writing extension fields.

use core::fmt;

use super::{FIELD_HEADER, SHORTEST, SHORTEST_LAST};

/// The longest field whose length fits its 16 bits and is a multiple of 4.
const LONGEST: usize = 65_532;

/// Appends extension fields to a packet in a buffer of fixed size.
///
/// Fields are padded with zeros to a multiple of 4 and to the lengths RFC 7822 asks for. What has
/// been [written](Self::written) so far is what a following authenticator field covers.
#[derive(Debug)]
pub struct Writer<'b> {
    buffer: &'b mut [u8],
    length: usize,
    /// Where the last field begins.
    last: Option<usize>,
}

impl<'b> Writer<'b> {
    /// A writer that appends after the first `length` octets of `buffer` (a header, usually), or
    /// at its end where it is shorter.
    pub fn new(buffer: &'b mut [u8], length: usize) -> Self {
        let length = length.min(buffer.len());
        Self {
            buffer,
            length,
            last: None,
        }
    }

    /// The packet so far.
    pub fn written(&self) -> &[u8] {
        self.buffer.get(..self.length).unwrap_or_default()
    }

    /// Appends a field of type `kind`. A field that does not fit leaves the packet as it was.
    pub fn push(&mut self, kind: u16, body: &[u8]) -> Result<(), WriteError> {
        let length = padded(FIELD_HEADER + body.len()).max(SHORTEST);
        let wire_length = u16::try_from(length).map_err(|_| WriteError::FieldTooLong)?;
        let field = self
            .buffer
            .get_mut(self.length..self.length + length)
            .ok_or(WriteError::BufferFull)?;
        let (head, rest) = field.split_at_mut(FIELD_HEADER);
        let (value, padding) = rest.split_at_mut(body.len());
        head[..2].copy_from_slice(&kind.to_be_bytes());
        head[2..].copy_from_slice(&wire_length.to_be_bytes());
        value.copy_from_slice(body);
        padding.fill(0);
        self.last = Some(self.length);
        self.length += length;
        Ok(())
    }

    /// Ends a packet without a MAC: pads the last field to the 28 octets it then needs. Gives the
    /// packet's length.
    pub fn finish(mut self) -> Result<usize, WriteError> {
        if let Some(last) = self.last {
            let missing = SHORTEST_LAST.saturating_sub(self.length - last);
            self.extend_last(last, missing)?;
        }
        Ok(self.length)
    }

    /// Pads the last field so that the packet becomes `length` octets long, for a reply that is
    /// to be as long as its request, and ends it. `length` must be a multiple of 4 away.
    pub fn finish_with_length(mut self, length: usize) -> Result<usize, WriteError> {
        let (Some(last), Some(missing)) = (self.last, length.checked_sub(self.length)) else {
            return Err(WriteError::BufferFull);
        };
        if missing % 4 != 0 || length - last < SHORTEST_LAST {
            return Err(WriteError::BufferFull);
        }
        self.extend_last(last, missing)?;
        Ok(self.length)
    }

    /// Adds `missing` octets of padding to the field that begins at `last`.
    fn extend_last(&mut self, last: usize, missing: usize) -> Result<(), WriteError> {
        let end = self.length + missing;
        if end - last > LONGEST {
            return Err(WriteError::FieldTooLong);
        }
        let wire_length = u16::try_from(end - last).map_err(|_| WriteError::FieldTooLong)?;
        let field = self
            .buffer
            .get_mut(last..end)
            .ok_or(WriteError::BufferFull)?;
        field[2..FIELD_HEADER].copy_from_slice(&wire_length.to_be_bytes());
        field[self.length - last..].fill(0);
        self.length = end;
        Ok(())
    }
}

/// `length` rounded up to a multiple of 4.
const fn padded(length: usize) -> usize {
    length.next_multiple_of(4)
}

/// Why a field could not be written; the caller's fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WriteError {
    /// The buffer, or the length asked for, has no room for it.
    BufferFull,
    /// Longer than a field's 16-bit length can say.
    FieldTooLong,
}

impl fmt::Display for WriteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::BufferFull => "no room for the extension field",
            Self::FieldTooLong => "extension field above 65532 octets",
        })
    }
}

impl std::error::Error for WriteError {}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::Extensions;
    use super::*;
    use crate::Header;

    #[test]
    fn a_short_last_field_is_padded_to_28_octets() {
        // RFC 7822 section 3: without a MAC the last field is at least 28 octets.
        let mut buffer = [0xff; 200];
        let mut writer = Writer::new(&mut buffer, Header::LEN);
        writer.push(0x0104, &[1; 3]).unwrap();
        assert_eq!(writer.written().len(), 48 + 16);
        writer.push(0x0204, &[2; 13]).unwrap();
        assert_eq!(writer.finish(), Ok(48 + 16 + 28));
        let extensions = Extensions::parse(&buffer[..48 + 16 + 28]).unwrap();
        let fields: Vec<_> = extensions.fields().collect();
        assert_eq!(fields.len(), 2);
        assert_eq!(fields[0].body, [1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(fields[1].body[..13], [2; 13]);
        assert_eq!(fields[1].body[13..], [0; 11]);
    }

    #[test]
    fn a_field_that_does_not_fit_leaves_the_packet_alone() {
        let mut buffer = [0; 70];
        let mut writer = Writer::new(&mut buffer, Header::LEN);
        writer.push(1, &[1; 12]).unwrap();
        assert_eq!(writer.push(2, &[2; 12]), Err(WriteError::BufferFull));
        assert_eq!(writer.written().len(), 64);
        assert_eq!(writer.finish(), Err(WriteError::BufferFull));
        let mut large = vec![0; 70_000];
        let mut writer = Writer::new(&mut large, Header::LEN);
        assert_eq!(
            writer.push(1, &vec![0; 65_530]),
            Err(WriteError::FieldTooLong)
        );
        writer.push(1, &vec![0; 65_528]).unwrap();
    }

    #[test]
    fn a_reply_can_be_made_as_long_as_its_request() {
        let mut buffer = [0xff; 228];
        let mut writer = Writer::new(&mut buffer, Header::LEN);
        writer.push(0x0104, &[7; 32]).unwrap();
        assert_eq!(writer.finish_with_length(228), Ok(228));
        let extensions = Extensions::parse(&buffer).unwrap();
        assert_eq!(extensions.fields().next().unwrap().body.len(), 176);
        let mut buffer = [0; 228];
        let mut writer = Writer::new(&mut buffer, Header::LEN);
        writer.push(0x0104, &[7; 32]).unwrap();
        assert_eq!(
            writer.finish_with_length(80),
            Err(WriteError::BufferFull),
            "never shorter than what it holds"
        );
    }

    proptest! {
        /// Whatever is written is read back, padded; and it is always valid framing.
        #[test]
        fn what_is_written_is_read_back(
            fields in prop::collection::vec(
                (any::<u16>(), prop::collection::vec(any::<u8>(), 0..60)), 0..6),
        ) {
            let mut buffer = [0xaa; 600];
            let mut writer = Writer::new(&mut buffer, Header::LEN);
            for (kind, body) in &fields {
                writer.push(*kind, body).unwrap();
            }
            let length = writer.finish().unwrap();
            let extensions = Extensions::parse(&buffer[..length]).unwrap();
            prop_assert!(extensions.mac().is_none());
            let read: Vec<_> = extensions.fields().collect();
            prop_assert_eq!(read.len(), fields.len());
            for (read, (kind, body)) in read.iter().zip(&fields) {
                prop_assert_eq!(read.kind, *kind);
                prop_assert_eq!(&read.body[..body.len()], &body[..]);
                prop_assert!(read.body[body.len()..].iter().all(|&o| o == 0));
            }
        }
    }
}
