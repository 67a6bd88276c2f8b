//! A guest's standard streams, as they meet ours.

#![forbid(unsafe_code)]

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;

use rustix::fs::{FileType, OFlags, major, minor};
use tokio::sync::oneshot;
use wasmpool::report::human::Written;
use wasmpool::report::lines::{PrefixedLines, Stream};
use wasmpool::report::terminal::TerminalFilter;
use wasmpool::{OutputChunk, OutputReader, OutputSink, StandardStream, Stdin, output_channel};

use crate::console::Console;

/// The numbers of `/dev/null`, on every Linux.
const NULL_DEVICE: (u32, u32) = (1, 3);
/// Bytes of output that may wait for our own streams before guests wait.
const WAITING_BYTES_MAX: usize = 256 * 1024;

/// How guests' output is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shown {
    /// Standard output as ours, standard error as ours: for one program.
    Through,
    /// Both as lines of standard error with the task's name in front.
    Prefixed,
}

/// Carries guests' output to our streams, on a thread of its own: our streams may block.
#[derive(Debug)]
pub struct Pump {
    /// Answers when every task's output has been written, or why it could not be.
    pub ended: oneshot::Receiver<io::Result<()>>,
}

/// A sink for tasks, and the pump behind it.
///
/// # Errors
///
/// When there can be no thread.
pub fn pump(console: &Arc<Console>, shown: Shown) -> io::Result<(OutputSink, Pump)> {
    let (sink, mut reader) = output_channel(WAITING_BYTES_MAX);
    let (report, ended) = oneshot::channel();
    let runtime = tokio::runtime::Handle::current();
    let mut painter = Painter::new(Arc::clone(console), shown);
    std::thread::Builder::new().name("output".to_owned()).spawn(move || {
        let result = runtime.block_on(painter.paint_all(&mut reader));
        // Without the reader, guests' output is thrown away instead of held back.
        drop(reader);
        // A command that has ended does not ask any more.
        drop(report.send(result));
    })?;
    Ok((sink, Pump { ended }))
}

struct Painter {
    console: Arc<Console>,
    shown: Shown,
    lines: PrefixedLines,
    stdout_filter: Option<TerminalFilter>,
    stderr_filter: Option<TerminalFilter>,
}

impl Painter {
    fn new(console: Arc<Console>, shown: Shown) -> Self {
        let terminals = console.terminals();
        Self {
            console,
            shown,
            lines: PrefixedLines::new(terminals.stderr),
            stdout_filter: terminals.stdout.then(TerminalFilter::default),
            stderr_filter: terminals.stderr.then(TerminalFilter::default),
        }
    }

    async fn paint_all(&mut self, reader: &mut OutputReader) -> io::Result<()> {
        while let Some(chunk) = reader.recv().await {
            let mut written = Written::default();
            self.paint(&chunk, &mut written);
            self.console.write(&written)?;
        }
        Ok(())
    }

    fn paint(&mut self, chunk: &OutputChunk, written: &mut Written) {
        let bytes = &chunk.bytes[..];
        let is_stdout = chunk.stream == StandardStream::Stdout;
        if self.shown == Shown::Prefixed {
            let stream = if is_stdout { Stream::Stdout } else { Stream::Stderr };
            self.lines.push(chunk.task, &chunk.name, stream, bytes, &mut written.stderr);
            if chunk.end {
                self.lines.end(chunk.task, &chunk.name, &mut written.stderr);
            }
            return;
        }
        let (filter, out) = if is_stdout {
            (&mut self.stdout_filter, &mut written.stdout)
        } else {
            (&mut self.stderr_filter, &mut written.stderr)
        };
        match filter {
            Some(filter) => filter.filter(bytes, out),
            None => out.extend_from_slice(bytes),
        }
    }
}

/// A file as a task's standard input. Each task needs an opening of its own: a shared one has one position.
///
/// # Errors
///
/// When it cannot be opened, or is a folder.
pub fn stdin_from(path: &Path) -> io::Result<Stdin> {
    let file = File::open(path)?;
    if file.metadata()?.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    Ok(Stdin::File(Arc::new(file)))
}

/// Our own standard input, for a program that stands in our place.
///
/// The guest's process gets the descriptor itself only when reading is all that it allows: through a
/// terminal, a socket or a file opened for writing it could also write. Everything else is copied into a pipe.
///
/// # Errors
///
/// When there can be no pipe or thread.
pub fn own_stdin() -> io::Result<Stdin> {
    let stdin = io::stdin();
    let status = rustix::fs::fstat(&stdin)?;
    let kind = FileType::from_raw_mode(status.st_mode);
    if kind == FileType::CharacterDevice && (major(status.st_rdev), minor(status.st_rdev)) == NULL_DEVICE {
        return Ok(Stdin::Empty);
    }
    let access = rustix::fs::fcntl_getfl(&stdin)? & OFlags::RWMODE;
    if access == OFlags::RDONLY && matches!(kind, FileType::Fifo | FileType::RegularFile) {
        let own: OwnedFd = stdin.as_fd().try_clone_to_owned()?;
        return Ok(Stdin::File(Arc::new(File::from(own))));
    }
    let (reader, writer) = io::pipe()?;
    // The thread may wait for the terminal when the program ends; it ends with it.
    std::thread::Builder::new().name("stdin".to_owned()).spawn(move || copy(io::stdin().lock(), writer))?;
    Ok(Stdin::File(Arc::new(File::from(OwnedFd::from(reader)))))
}

/// Copies as it comes, until either side ends.
fn copy(mut from: impl Read, mut to: impl Write) {
    let mut buffer = [0; 16 * 1024];
    loop {
        match from.read(&mut buffer) {
            Ok(0) => return,
            Ok(length) if to.write_all(&buffer[..length]).is_err() => return,
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return,
        }
    }
}
