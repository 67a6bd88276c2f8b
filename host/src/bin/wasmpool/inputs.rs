//! The inputs of `map`, one task at a time, as far as the pool asks for them.

#![forbid(unsafe_code)]

use std::collections::VecDeque;
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures_util::{Stream, stream};
use tokio::sync::mpsc;
use wasmpool::batch::BadInput;
use wasmpool::batch::call::CallMaker;
use wasmpool::batch::drive::Input;
use wasmpool::batch::lines::{Line, Lines};
use wasmpool::batch::template::Template;
use wasmpool::{Module, Target, Task};

use crate::console::Console;
use crate::run::args;
use crate::streams;

/// What is run for each input.
#[derive(Clone, Debug)]
pub enum Call {
    /// A task, with the input as its arguments.
    Task(CallMaker),
    /// A plain export, with the input in the expression that calls it.
    Expression { module: Module, template: Template },
    /// A WASI command, with the input on its command line.
    Command { argv0: String, template: Template },
}

/// Makes the task of each input.
#[derive(Clone, Debug)]
pub struct TaskMaker {
    pub call: Call,
    /// Everything that is the same for all of them.
    pub prototype: Task,
    /// The first part of their names.
    pub name: String,
    /// The file that each of them reads as its standard input.
    pub stdin: Option<PathBuf>,
    /// How many were made.
    pub made: u64,
}

impl TaskMaker {
    /// Checks an input of the command line without making anything.
    pub fn check(&self, input: &[u8]) -> Result<(), String> {
        match &self.call {
            Call::Task(maker) => maker.of_input(input).map(drop).map_err(|error| error.to_string()),
            Call::Expression { .. } => self.expression(input).map(drop),
            Call::Command { .. } => utf8(input).map(drop),
        }
    }

    fn of_input(&mut self, input: &[u8]) -> Input {
        let place = format!("input {}", self.made + 1);
        let task = match &self.call {
            Call::Task(maker) => maker.of_input(input).map_err(|error| error.to_string()).map(Some),
            Call::Expression { .. } | Call::Command { .. } => Ok(None),
        };
        self.finish(place, task.map(|arguments| arguments.map(args)), input)
    }

    fn of_line(&mut self, file: &str, line: &Line) -> Input {
        let place = format!("{file}:{}", line.number);
        let text = match &line.text {
            Ok(text) => text.as_slice(),
            Err(error) => return self.finish(place, Err(error.to_string()), &[]),
        };
        let task = match &self.call {
            Call::Task(maker) => maker.of_line(text).map_err(|error| error.to_string()).map(Some),
            Call::Expression { .. } | Call::Command { .. } => Ok(None),
        };
        self.finish(place, task.map(|arguments| arguments.map(args)), text)
    }

    fn finish(&mut self, place: String, args: Result<Option<wasmpool::Args>, String>, text: &[u8]) -> Input {
        self.made += 1;
        let name = format!("{}#{}", self.name, self.made);
        match args.and_then(|args| self.task(args, text)) {
            Ok(task) => Input::Task(Box::new(task.name(name))),
            Err(reason) => Input::Bad { name, bad: BadInput { place, reason } },
        }
    }

    /// The call of an expression with this input in its places; `None` for what is no expression.
    fn expression(&self, input: &[u8]) -> Result<Option<Target>, String> {
        let Call::Expression { module, template } = &self.call else { return Ok(None) };
        let call = template.call(utf8(input)?, self.made.max(1)).map_err(|error| error.to_string())?;
        module.invoke(&call).map(Some).map_err(|error| error.to_string())
    }

    fn task(&self, args: Option<wasmpool::Args>, text: &[u8]) -> Result<Task, String> {
        let mut task = self.prototype.clone();
        if let Some(args) = args {
            task = task.args(args);
        }
        if let Some(target) = self.expression(text)? {
            task = task.target(&target);
        }
        if let Call::Command { argv0, template } = &self.call {
            task = task.argv([vec![argv0.clone()], template.fill(utf8(text)?, self.made)].concat());
        }
        if let Some(path) = &self.stdin {
            let stdin = streams::stdin_from(path);
            task = task.stdin(stdin.map_err(|error| format!("cannot read `{}`: {error}", path.display()))?);
        }
        Ok(task)
    }
}

fn utf8(input: &[u8]) -> Result<&str, String> {
    std::str::from_utf8(input).map_err(|_| "it is not UTF-8, as command lines and calls must be".to_owned())
}

/// The inputs of the command line.
pub fn of_list(mut maker: TaskMaker, inputs: Vec<OsString>) -> impl Stream<Item = Input> + Send + Unpin {
    stream::iter(inputs.into_iter().map(move |input| maker.of_input(input.as_bytes())))
}

/// A file of inputs that is open.
#[derive(Debug)]
pub struct InputFile {
    /// What messages call it.
    pub name: String,
    lines: LineReader,
}

impl InputFile {
    /// Opens a file, or standard input for `-`. Lines are at most `line_bytes_max` long; up to `chunksize`
    /// of them are read together when that needs no waiting.
    ///
    /// # Errors
    ///
    /// When it cannot be opened, or is a folder.
    pub fn open(path: &Path, line_bytes_max: usize, chunksize: usize) -> io::Result<Self> {
        let lines_max = chunksize.max(REPLY_LINES_MIN);
        if path.as_os_str() == "-" {
            let lines = LineReader::start(io::stdin(), line_bytes_max, lines_max)?;
            return Ok(Self { name: "standard input".to_owned(), lines });
        }
        let file = File::open(path)?;
        if file.metadata()?.is_dir() {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        Ok(Self {
            name: path.display().to_string(),
            lines: LineReader::start(file, line_bytes_max, lines_max)?,
        })
    }

    /// The next line; `None` at the end, and after an error.
    pub async fn next_line(&mut self) -> Option<io::Result<Line>> {
        self.lines.next().await
    }
}

/// The lines of a file as inputs. A line that is no input is one that fails; empty lines between JSON
/// values are skipped.
pub fn of_file(
    maker: TaskMaker,
    file: InputFile,
    console: Arc<Console>,
) -> impl Stream<Item = Input> + Send + Unpin {
    let skips_empty = matches!(&maker.call, Call::Task(maker) if !maker.is_raw());
    let state = (maker, file, console);
    Box::pin(stream::unfold(state, move |(mut maker, mut file, console)| async move {
        loop {
            let input = match file.lines.next().await? {
                Ok(line)
                    if skips_empty && line.text.as_ref().is_ok_and(|text| text.trim_ascii().is_empty()) =>
                {
                    continue;
                }
                Ok(line) => maker.of_line(&file.name, &line),
                Err(error) => {
                    console.error(&format!("cannot read {} on: {error}", file.name));
                    Input::Lost
                }
            };
            return Some((input, (maker, file, console)));
        }
    }))
}

/// Reads lines on a thread of its own, because a read may wait for ever, and only when it is asked: what
/// is not asked for stays in the pipe, and its writer waits.
#[derive(Debug)]
struct LineReader {
    requests: std::sync::mpsc::Sender<()>,
    replies: mpsc::Receiver<Vec<io::Result<Line>>>,
    at_hand: VecDeque<io::Result<Line>>,
}

/// Lines of one reply, at least: the one that was waited for, and what was read with it.
const REPLY_LINES_MIN: usize = 64;
/// Bytes that are read with one call.
const BUFFER_BYTES: usize = 64 * 1024;

impl LineReader {
    fn start(file: impl Read + Send + 'static, line_bytes_max: usize, lines_max: usize) -> io::Result<Self> {
        let (requests, asked) = std::sync::mpsc::channel();
        let (reply, replies) = mpsc::channel(1);
        std::thread::Builder::new().name("inputs".to_owned()).spawn(move || {
            let mut lines = Lines::new(BufReader::with_capacity(BUFFER_BYTES, file), line_bytes_max);
            while asked.recv().is_ok() {
                let read = read_some(&mut lines, lines_max);
                let is_end = read.is_empty() || read.iter().any(Result::is_err);
                if reply.blocking_send(read).is_err() || is_end {
                    return;
                }
            }
        })?;
        Ok(Self { requests, replies, at_hand: VecDeque::new() })
    }

    async fn next(&mut self) -> Option<io::Result<Line>> {
        if self.at_hand.is_empty() {
            // A reader that has come to the end does not listen any more.
            self.requests.send(()).ok()?;
            self.at_hand = self.replies.recv().await?.into();
        }
        self.at_hand.pop_front()
    }
}

/// One line, for which this may wait, and the lines that need no more reading.
fn read_some(lines: &mut Lines<impl Read>, lines_max: usize) -> Vec<io::Result<Line>> {
    let mut read = Vec::new();
    while let Some(line) = lines.next_line().transpose() {
        let is_error = line.is_err();
        read.push(line);
        if is_error || read.len() >= lines_max || !lines.has_line_at_hand() {
            break;
        }
    }
    read
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    /// Gives one line a read, and counts the reads.
    struct OneByOne(Arc<AtomicUsize>);

    impl Read for OneByOne {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.0.fetch_add(1, Ordering::SeqCst);
            buffer[..2].copy_from_slice(b"1\n");
            Ok(2)
        }
    }

    #[tokio::test]
    async fn an_endless_file_is_read_no_further_than_asked() {
        let reads = Arc::new(AtomicUsize::new(0));
        let mut reader = LineReader::start(OneByOne(Arc::clone(&reads)), 100, 64).unwrap();
        for number in 1..=5 {
            assert_eq!(reader.next().await.unwrap().unwrap().number, number);
        }
        assert_eq!(reads.load(Ordering::SeqCst), 5);
    }

    #[tokio::test]
    async fn the_end_and_an_error_are_the_last_things_that_come() {
        let mut reader = LineReader::start(&b"a\nb"[..], 100, 64).unwrap();
        assert!(reader.next().await.unwrap().is_ok());
        assert!(reader.next().await.unwrap().is_ok());
        assert!(reader.next().await.is_none());
        let mut folder = LineReader::start(File::open("/").unwrap(), 100, 64).unwrap();
        assert!(folder.next().await.unwrap().is_err());
        assert!(folder.next().await.is_none());
    }
}
