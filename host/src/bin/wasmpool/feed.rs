//! `--feed`: the lines of standard input become the items of a queue.

#![forbid(unsafe_code)]

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use wasmpool::batch::call::JsonText;
use wasmpool::batch::lines::Line;
use wasmpool::sync::{Queue, SyncError};

use crate::console::Console;
use crate::inputs::InputFile;

/// Set as soon as something of the input is lost: the person has been told what. The feed may end before its input
/// does, with the tasks.
#[derive(Clone, Debug, Default)]
pub struct Lost(Rc<Cell<bool>>);

impl Lost {
    /// Whether something is.
    pub fn is_set(&self) -> bool {
        self.0.get()
    }

    fn set(&self) {
        self.0.set(true);
    }
}

/// Puts line after line into the queue, waits while it is full, and closes it at the end of the file. Then the
/// queue is given up: this program cannot act on it any more.
pub async fn feed(mut file: InputFile, queue: Queue<Bytes>, console: Arc<Console>, lost: Lost) {
    while let Some(line) = file.next_line().await {
        let line = match line {
            Ok(line) => line,
            Err(error) => {
                console.error(&format!("cannot read {} on: {error}", file.name));
                lost.set();
                break;
            }
        };
        let number = line.number;
        let put = match item(line) {
            Ok(item) => match queue.put_async(item).await {
                // A task has closed it and wants no more.
                Err(SyncError::Closed) => return,
                put => put.map_err(|error| error.to_string()),
            },
            Err(reason) => Err(reason),
        };
        if let Err(reason) = put {
            lost.set();
            console.error(&format!("{}:{number}: {reason}", file.name));
        }
    }
    if let Err(error) = queue.close() {
        lost.set();
        console.error(&format!("cannot close the queue `{}`: {error}", queue.name()));
    }
}

/// A line as JSON.
fn item(line: Line) -> Result<Bytes, String> {
    let text = line.text.map_err(|error| error.to_string())?;
    let text = String::from_utf8(text).map_err(|_| "it is not UTF-8, as JSON must be".to_owned())?;
    Ok(JsonText::from_argument(&text).as_str().to_owned().into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn file(bytes: &[u8]) -> (tempfile::NamedTempFile, InputFile) {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(bytes).unwrap();
        let input = InputFile::open(file.path(), 20, 1).unwrap();
        (file, input)
    }

    /// Whether something was lost.
    fn run(bytes: &[u8], queue: &Queue<Bytes>) -> bool {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let (_file, input) = file(bytes);
        let lost = Lost::default();
        runtime.block_on(feed(input, queue.clone(), Arc::new(Console::quiet()), lost.clone()));
        lost.is_set()
    }

    #[test]
    fn lines_become_json_and_then_comes_the_end() {
        let queue = Queue::raw(10).unwrap();
        assert!(!run(b"1\nhello\n{\"a\": [1]}\n\n", &queue));
        let items: Vec<Bytes> = queue.iter().collect::<Result<_, _>>().unwrap();
        assert_eq!(items, ["1", r#""hello""#, r#"{"a": [1]}"#, r#""""#]);
    }

    #[test]
    fn a_line_that_is_no_item_is_left_out_and_told() {
        let queue = Queue::builder().message_bytes_max(8).build_raw().unwrap();
        assert!(run(b"\xff\n[0,0,0,0,0]\n012345678901234567890\n7\n", &queue));
        assert_eq!(queue.iter().collect::<Result<Vec<_>, _>>().unwrap(), ["7"]);
    }

    #[test]
    fn a_queue_that_was_closed_wants_no_more() {
        let queue = Queue::raw(10).unwrap();
        queue.close().unwrap();
        assert!(!run(b"1\n2\n", &queue));
        assert_eq!(queue.get(), Ok(None));
    }

    #[test]
    fn a_full_queue_is_waited_for() {
        let queue = Queue::raw(1).unwrap();
        let taken = std::thread::scope(|scope| {
            let takes = scope.spawn(|| queue.iter().collect::<Result<Vec<_>, _>>().unwrap());
            assert!(!run(&b"1\n".repeat(100), &queue));
            takes.join().unwrap()
        });
        assert_eq!(taken.len(), 100);
    }
}
