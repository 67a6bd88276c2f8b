//! `--drain`: the items of a queue become lines of standard output, as they come.

#![forbid(unsafe_code)]

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::oneshot;
use wasmpool::exit_code::batch;
use wasmpool::outcome::{Encoding, TaskValue};
use wasmpool::report::human::Written;
use wasmpool::report::json_of;
use wasmpool::report::terminal::TerminalFilter;
use wasmpool::sync::{Got, Queue};

use crate::console::Console;
use crate::failure::Failure;
use crate::interrupt::Signals;

/// How printing ended.
#[derive(Debug)]
enum Drained {
    /// Everything was printed.
    Whole,
    /// Nobody reads standard output any more.
    Unwanted,
    /// Standard output cannot be written, or the queue cannot be read.
    Failed(String),
}

/// Prints a queue's items on a thread of its own: standard output may block for ever.
#[derive(Debug)]
pub struct Drain {
    queue: Queue<Bytes>,
    ended: oneshot::Receiver<Drained>,
    drained: Option<Drained>,
}

impl Drain {
    /// Begins.
    ///
    /// # Errors
    ///
    /// When there can be no thread.
    pub fn start(queue: Queue<Bytes>, console: &Arc<Console>) -> io::Result<Self> {
        let (report, ended) = oneshot::channel();
        let (items, console) = (queue.clone(), Arc::clone(console));
        std::thread::Builder::new().name("drain".to_owned()).spawn(move || {
            // A command that has ended does not ask any more.
            drop(report.send(print_all(&items, &console)));
        })?;
        Ok(Self { queue, ended, drained: None })
    }

    /// Waits until nothing can be printed any more although there is something. Never comes, if that never is.
    pub async fn failed(&mut self) {
        if self.drained.is_none() {
            // A thread that is gone without a word has panicked, and its message is on the screen.
            let drained = self.drained.insert((&mut self.ended).await.unwrap_or(Drained::Whole));
            if !matches!(drained, Drained::Whole) {
                return;
            }
        }
        std::future::pending().await
    }

    /// After the last task: prints what is left, unless a signal comes.
    ///
    /// # Errors
    ///
    /// When not everything could be printed to somebody who reads it.
    pub async fn finish(mut self, signals: &mut Signals) -> Result<(), Failure> {
        // Nobody puts any more, so the end comes. A queue that cannot be closed cannot be read either.
        let _ = self.queue.close();
        let drained = match self.drained.take() {
            Some(drained) => drained,
            None => tokio::select! {
                drained = &mut self.ended => drained.unwrap_or(Drained::Whole),
                _ = signals.next() => Drained::Unwanted,
            },
        };
        match drained {
            Drained::Whole | Drained::Unwanted => Ok(()),
            Drained::Failed(reason) => Err(Failure::new(batch::INCOMPLETE, reason)),
        }
    }
}

/// Bytes that are written with one call when several items are there at once.
const PIECE_BYTES: usize = 64 * 1024;

fn print_all(queue: &Queue<Bytes>, console: &Console) -> Drained {
    loop {
        let mut written = Written::default();
        let end = add_items(queue, console.terminals().stdout, &mut written.stdout);
        match console.write(&written) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Drained::Unwanted,
            Err(error) => return Drained::Failed(format!("cannot write to standard output: {error}")),
        }
        if let Some(end) = end {
            return end;
        }
    }
}

/// Waits for an item and takes those that need no waiting with it; how it ended, if it did.
fn add_items(queue: &Queue<Bytes>, is_terminal: bool, out: &mut Vec<u8>) -> Option<Drained> {
    let mut next = queue.get().map(|item| item.map_or(Got::End, Got::Item));
    loop {
        match next {
            Ok(Got::Item(item)) => add_line(item, is_terminal, out),
            Ok(Got::End) => return Some(Drained::Whole),
            Ok(Got::TimedOut) => return None,
            Err(error) => return Some(Drained::Failed(format!("--drain {}: {error}", queue.name()))),
        }
        if out.len() >= PIECE_BYTES {
            return None;
        }
        next = queue.try_get();
    }
}

/// An item as a line of JSON. What is no JSON becomes a string.
fn add_line(item: Bytes, is_terminal: bool, out: &mut Vec<u8>) {
    let value = TaskValue::new(Encoding::Json, item);
    let mut line = match json_of(&value) {
        Some(json) => json.get().to_owned(),
        None => serde_json::Value::from(String::from_utf8_lossy(value.bytes())).to_string(),
    };
    line.push('\n');
    if is_terminal {
        TerminalFilter::default().filter(line.as_bytes(), out);
    } else {
        out.extend_from_slice(line.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_are_taken_together_as_far_as_they_are_there() {
        let queue = Queue::raw(10).unwrap();
        let mut out = Vec::new();
        for item in ["1", "2"] {
            queue.put(Bytes::from(item)).unwrap();
        }
        assert!(add_items(&queue, false, &mut out).is_none());
        assert_eq!(out, b"1\n2\n");
        queue.put(Bytes::from(vec![b'0'; PIECE_BYTES])).unwrap();
        queue.put(Bytes::from("3")).unwrap();
        queue.close().unwrap();
        assert!(add_items(&queue, false, &mut out).is_none(), "a piece is full");
        out.clear();
        assert!(matches!(add_items(&queue, false, &mut out), Some(Drained::Whole)));
        assert_eq!(out, b"3\n");
    }

    #[test]
    fn every_item_is_one_line_of_json() {
        let mut out = Vec::new();
        for item in [&b"1"[..], b" [1,\n2]\r\n", b"hello", b"\"a\\nb\"", b"a\nb", b"\xff", b""] {
            add_line(Bytes::copy_from_slice(item), false, &mut out);
        }
        let lines = ["1", "[1, 2]", r#""hello""#, r#""a\nb""#, r#""a\nb""#, "\"\u{fffd}\"", r#""""#];
        assert_eq!(String::from_utf8(out).unwrap(), lines.map(|line| format!("{line}\n")).concat());
    }
}
