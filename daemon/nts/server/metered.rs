//! A stream of which only so much is read.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Ends with an error when the other side has sent more than it can have to say, so that what is
/// kept of it unread is bounded, too.
#[derive(Debug)]
pub(super) struct Metered<S> {
    stream: S,
    /// Octets that may still come.
    left: usize,
}

impl<S> Metered<S> {
    /// Reads at most about `most` octets.
    pub(super) const fn new(stream: S, most: usize) -> Self {
        Self { stream, left: most }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Metered<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.left == 0 {
            let error = io::Error::new(io::ErrorKind::InvalidData, "too much was sent");
            return Poll::Ready(Err(error));
        }
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(context, buffer))?;
        self.left = self.left.saturating_sub(buffer.filled().len() - before);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Metered<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        octets: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, octets)
    }

    /// TLS hands over several pieces at a time: together they are one packet and one system call.
    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt;

    use super::*;

    #[test]
    fn a_flood_ends_in_an_error() {
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        runtime.unwrap().block_on(async {
            let mut stream = Metered::new(tokio::io::repeat(7), 1000);
            let mut piece = [0; 300];
            let mut read = 0;
            let error = loop {
                match stream.read(&mut piece).await {
                    Ok(more) => read += more,
                    Err(error) => break error,
                }
            };
            assert_eq!((read, error.kind()), (1200, io::ErrorKind::InvalidData));
            let mut short = Metered::new([1, 2, 3].as_slice(), 1000);
            let mut all = Vec::new();
            assert_eq!(short.read_to_end(&mut all).await.unwrap(), 3);
        });
    }
}
