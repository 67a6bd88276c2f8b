//! The guest's standard output and error: frames to the supervisor.
//!
//! Always ready: a send waits for the supervisor, which is the back-pressure. Lines, limits and order
//! are the supervisor's business.

#![forbid(unsafe_code)]

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use tokio::io::AsyncWrite;
use wasmtime_wasi::async_trait;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamResult};

use crate::limits::{OUTPUT_PIECE_BYTES_MAX, STREAM_BYTES_MAX};
use crate::protocol::worker::{FromWorker, Stream};
use crate::worker::link::Link;

/// One of the two streams.
#[derive(Clone, Debug)]
pub(super) struct Output {
    stream: Stream,
    link: Arc<Link>,
}

impl Output {
    pub(super) fn new(stream: Stream, link: Arc<Link>) -> Self {
        Self { stream, link }
    }

    fn send(&self, bytes: &[u8]) {
        for piece in bytes.chunks(OUTPUT_PIECE_BYTES_MAX) {
            self.link.send(&FromWorker::Output { stream: self.stream, bytes: piece.to_vec() }, &[]);
        }
    }
}

impl IsTerminal for Output {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Output {
    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }

    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(self.clone())
    }
}

#[async_trait]
impl OutputStream for Output {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.send(&bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(STREAM_BYTES_MAX)
    }
}

#[async_trait]
impl Pollable for Output {
    async fn ready(&mut self) {}
}

impl AsyncWrite for Output {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.send(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
