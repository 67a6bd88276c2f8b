//! What a guest writes to its standard streams, on its way to the caller.
//!
//! A stream of output is bounded in bytes. When its reader falls behind, the dispatcher stops reading
//! from the workers that write to it, their sockets fill up, and the guests wait: nothing is lost, and
//! this process does not grow. Only a task that is being ended does not wait for its reader: what there
//! is no room for then is dropped.

#![forbid(unsafe_code)]

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::Notify;

/// What becomes of a task's standard output and error.
#[derive(Clone, Debug, Default)]
pub enum Output {
    /// Kept for the record, up to the task's output limit.
    #[default]
    Capture,
    /// Thrown away.
    Discard,
    /// Sent on while the task runs; not limited by the output limit.
    Stream(OutputSink),
}

/// A standard stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StandardStream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// A piece of output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutputChunk {
    /// The number of the task that wrote it.
    pub task: u64,
    /// The name of that task.
    pub name: Arc<str>,
    /// To which stream.
    pub stream: StandardStream,
    /// What it wrote. Empty at the end.
    pub bytes: Bytes,
    /// True for the last chunk of this task.
    pub end: bool,
}

#[derive(Default)]
struct State {
    chunks: VecDeque<OutputChunk>,
    bytes: usize,
    sinks: usize,
    reader_gone: bool,
    /// Wakes the dispatchers that wait for room.
    on_room: Vec<Box<dyn FnOnce() + Send>>,
}

struct Shared {
    bytes_max: usize,
    state: Mutex<State>,
    arrived: Notify,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The writing end; any number of tasks may share it.
pub struct OutputSink(Arc<Shared>);

/// The reading end.
pub struct OutputReader(Arc<Shared>);

/// A stream of output that holds at most about `bytes_max` bytes.
#[must_use]
pub fn output_channel(bytes_max: usize) -> (OutputSink, OutputReader) {
    let state = Mutex::new(State { sinks: 1, ..State::default() });
    let shared = Arc::new(Shared { bytes_max, state, arrived: Notify::new() });
    (OutputSink(Arc::clone(&shared)), OutputReader(shared))
}

/// What a chunk takes: a flood of tiny ones is bounded too.
fn cost(chunk: &OutputChunk) -> usize {
    size_of::<OutputChunk>() + chunk.bytes.len()
}

impl OutputSink {
    /// True when a chunk may be pushed.
    pub(super) fn has_room(&self) -> bool {
        let state = self.0.state();
        state.bytes < self.0.bytes_max || state.reader_gone
    }

    /// True when a chunk may be pushed. Otherwise `on_room` is called once there is room.
    pub(super) fn has_room_or(&self, on_room: impl FnOnce() + Send + 'static) -> bool {
        let mut state = self.0.state();
        let room = state.bytes < self.0.bytes_max || state.reader_gone;
        if !room {
            state.on_room.push(Box::new(on_room));
        }
        room
    }

    pub(super) fn push(&self, chunk: OutputChunk) {
        if chunk.bytes.is_empty() && !chunk.end {
            return;
        }
        let mut state = self.0.state();
        if !state.reader_gone {
            state.bytes += cost(&chunk);
            state.chunks.push_back(chunk);
            drop(state);
            self.0.arrived.notify_one();
        }
    }

    pub(super) fn end(&self, task: u64, name: &Arc<str>) {
        let (name, stream) = (Arc::clone(name), StandardStream::Stdout);
        self.push(OutputChunk { task, name, stream, bytes: Bytes::new(), end: true });
    }
}

impl Clone for OutputSink {
    fn clone(&self) -> Self {
        self.0.state().sinks += 1;
        Self(Arc::clone(&self.0))
    }
}

impl Drop for OutputSink {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.sinks -= 1;
        if state.sinks == 0 {
            drop(state);
            self.0.arrived.notify_one();
        }
    }
}

impl OutputReader {
    /// The next chunk; `None` when every sink is gone and everything was read.
    pub async fn recv(&mut self) -> Option<OutputChunk> {
        loop {
            match self.take() {
                Taken::Chunk(chunk) => return Some(chunk),
                Taken::End => return None,
                Taken::Nothing => self.0.arrived.notified().await,
            }
        }
    }

    fn take(&self) -> Taken {
        let mut state = self.0.state();
        let Some(chunk) = state.chunks.pop_front() else {
            return if state.sinks == 0 { Taken::End } else { Taken::Nothing };
        };
        state.bytes -= cost(&chunk);
        let wake =
            if state.bytes <= self.0.bytes_max / 2 { std::mem::take(&mut state.on_room) } else { Vec::new() };
        drop(state);
        wake.into_iter().for_each(|on_room| on_room());
        Taken::Chunk(chunk)
    }
}

enum Taken {
    Chunk(OutputChunk),
    Nothing,
    End,
}

impl Drop for OutputReader {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.reader_gone = true;
        state.chunks.clear();
        state.bytes = 0;
        let wake = std::mem::take(&mut state.on_room);
        drop(state);
        wake.into_iter().for_each(|on_room| on_room());
    }
}

impl fmt::Debug for OutputSink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OutputSink").finish_non_exhaustive()
    }
}

impl fmt::Debug for OutputReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OutputReader").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    fn chunk(bytes: usize) -> OutputChunk {
        let bytes = Bytes::from(vec![b'x'; bytes]);
        OutputChunk { task: 1, name: "t".into(), stream: StandardStream::Stdout, bytes, end: false }
    }

    #[tokio::test]
    async fn a_full_stream_asks_for_room_and_gets_it_when_read() {
        let (sink, mut reader) = output_channel(10);
        let woken = Arc::new(AtomicUsize::new(0));
        let wake = |woken: &Arc<AtomicUsize>| {
            let woken = Arc::clone(woken);
            move || {
                woken.fetch_add(1, Ordering::SeqCst);
            }
        };
        assert!(sink.has_room_or(wake(&woken)));
        sink.push(chunk(10));
        assert!(!sink.has_room_or(wake(&woken)));
        assert_eq!(woken.load(Ordering::SeqCst), 0);
        assert_eq!(reader.recv().await.unwrap().bytes.len(), 10);
        assert_eq!(woken.load(Ordering::SeqCst), 1);
        drop(sink);
        assert_eq!(reader.recv().await, None);
    }

    #[test]
    fn a_reader_that_is_gone_never_blocks_a_writer() {
        let (sink, reader) = output_channel(1);
        sink.push(chunk(5));
        drop(reader);
        sink.push(chunk(5));
        assert!(sink.has_room_or(|| ()));
    }
}
