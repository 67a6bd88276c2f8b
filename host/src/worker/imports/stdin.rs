//! The guest's standard input: the granted descriptor, or nothing.
//!
//! A read blocks the worker's only thread, as reading does. Waiting for input *or* something else
//! cannot block: the runtime has no I/O driver, so the descriptor is looked at again and again, at
//! first often, then every [`STDIN_LOOK_TIME_MAX`]. The descriptor is never made non-blocking, because
//! that would change it for everyone who shares the open file.

#![forbid(unsafe_code)]

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::Errno;
use tokio::io::{AsyncRead, ReadBuf};
use wasmtime_wasi::async_trait;
use wasmtime_wasi::cli::{IsTerminal, StdinStream};
use wasmtime_wasi::p2::{InputStream, Pollable, StreamError, StreamResult};

use crate::limits::{STDIN_LOOK_TIME_MAX, STREAM_BYTES_MAX};

/// Standard input. Clones read on from one another, as the descriptor does. What was empty while a module was
/// initialised may get a descriptor with its task.
#[derive(Clone, Debug)]
pub(super) struct Stdin(Arc<OnceLock<OwnedFd>>);

impl Stdin {
    pub(super) fn new(descriptor: Option<OwnedFd>) -> Self {
        Self(Arc::new(descriptor.map_or_else(OnceLock::new, OnceLock::from)))
    }

    /// Gives an empty one, and with it every clone, its descriptor.
    pub(super) fn fill(&self, descriptor: Option<OwnedFd>) {
        if let Some(descriptor) = descriptor {
            // It was empty: nothing is initialised with a standard input.
            let _ = self.0.set(descriptor);
        }
    }

    /// The descriptor; `None` when standard input is empty.
    pub(super) fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        self.0.get().map(AsFd::as_fd)
    }

    /// True when a read would return at once, with bytes, the end or an error.
    fn is_ready(&self) -> bool {
        match self.descriptor() {
            Some(descriptor) => wait_readable(descriptor, Some(Timespec::default())).unwrap_or(true),
            None => true,
        }
    }

    /// Reads at most `size` bytes, waiting for the first.
    fn read_blocking(&self, size: usize) -> StreamResult<Bytes> {
        let Some(descriptor) = self.descriptor() else { return Err(StreamError::Closed) };
        let mut buffer = BytesMut::zeroed(size.min(STREAM_BYTES_MAX));
        match read(descriptor, &mut buffer) {
            Ok(0) if size > 0 => Err(StreamError::Closed),
            Ok(length) => {
                buffer.truncate(length);
                Ok(buffer.freeze())
            }
            Err(error) => Err(StreamError::LastOperationFailed(io::Error::from(error).into())),
        }
    }
}

/// Waits until the descriptor can be read without waiting; false when the time is up first.
pub(super) fn wait_readable(descriptor: BorrowedFd<'_>, time: Option<Timespec>) -> Result<bool, Errno> {
    let mut polled = [PollFd::from_borrowed_fd(descriptor, PollFlags::IN)];
    rustix::event::poll(&mut polled, time.as_ref()).map(|ready| ready > 0)
}

fn read(descriptor: BorrowedFd<'_>, buffer: &mut [u8]) -> Result<usize, Errno> {
    loop {
        match rustix::io::read(descriptor, &mut *buffer) {
            Err(Errno::INTR) => {}
            // Somebody else made the open file non-blocking.
            Err(Errno::AGAIN) => match wait_readable(descriptor, None) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => return Err(error),
            },
            other => return other,
        }
    }
}

impl IsTerminal for Stdin {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdinStream for Stdin {
    fn p2_stream(&self) -> Box<dyn InputStream> {
        Box::new(self.clone())
    }

    fn async_stream(&self) -> Box<dyn AsyncRead + Send + Sync> {
        Box::new(self.clone())
    }
}

#[async_trait]
impl InputStream for Stdin {
    fn read(&mut self, size: usize) -> StreamResult<Bytes> {
        if self.is_ready() { self.read_blocking(size) } else { Ok(Bytes::new()) }
    }

    async fn blocking_read(&mut self, size: usize) -> StreamResult<Bytes> {
        self.read_blocking(size)
    }
}

#[async_trait]
impl Pollable for Stdin {
    async fn ready(&mut self) {
        let mut pause = Duration::from_millis(1);
        while !self.is_ready() {
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(STDIN_LOOK_TIME_MAX);
        }
    }
}

impl AsyncRead for Stdin {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if let Some(descriptor) = self.descriptor() {
            let length = read(descriptor, buffer.initialize_unfilled())?;
            buffer.advance(length);
        }
        Poll::Ready(Ok(()))
    }
}
