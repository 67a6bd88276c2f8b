//! `--feed`: the lines of standard input become the items of a queue.

#![forbid(unsafe_code)]

use std::sync::Arc;

use bytes::Bytes;
use wasmpool::batch::call::JsonText;
use wasmpool::batch::lines::Line;
use wasmpool::sync::{Queue, SyncError};

use crate::console::Console;
use crate::inputs::InputFile;

/// Whether everything that there was became items.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fed {
    /// Or a task closed the queue and wanted no more.
    Whole,
    /// The person was told what is missing.
    Incomplete,
}

/// Puts line after line into the queue, waits while it is full, and closes it at the end of the file. Then the
/// queue is given up: this program cannot act on it any more.
pub async fn feed(mut file: InputFile, queue: Queue<Bytes>, console: Arc<Console>) -> Fed {
    let mut fed = Fed::Whole;
    while let Some(line) = file.next_line().await {
        let line = match line {
            Ok(line) => line,
            Err(error) => {
                console.error(&format!("cannot read {} on: {error}", file.name));
                fed = Fed::Incomplete;
                break;
            }
        };
        let number = line.number;
        let put = match item(line) {
            Ok(item) => match queue.put_async(item).await {
                // A task has closed it.
                Err(SyncError::Closed) => return fed,
                put => put.map_err(|error| error.to_string()),
            },
            Err(reason) => Err(reason),
        };
        if let Err(reason) = put {
            console.error(&format!("{}:{number}: {reason}", file.name));
            fed = Fed::Incomplete;
        }
    }
    if let Err(error) = queue.close() {
        console.error(&format!("cannot close the queue `{}`: {error}", queue.name()));
        fed = Fed::Incomplete;
    }
    fed
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

    fn run(bytes: &[u8], queue: &Queue<Bytes>) -> Fed {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let (_file, input) = file(bytes);
        runtime.block_on(feed(input, queue.clone(), Arc::new(Console::quiet())))
    }

    #[test]
    fn lines_become_json_and_then_comes_the_end() {
        let queue = Queue::raw(10).unwrap();
        assert_eq!(run(b"1\nhello\n{\"a\": [1]}\n\n", &queue), Fed::Whole);
        let items: Vec<Bytes> = queue.iter().collect::<Result<_, _>>().unwrap();
        assert_eq!(items, ["1", r#""hello""#, r#"{"a": [1]}"#, r#""""#]);
    }

    #[test]
    fn a_line_that_is_no_item_is_left_out_and_told() {
        let queue = Queue::builder().message_bytes_max(8).build_raw().unwrap();
        assert_eq!(run(b"\xff\n[0,0,0,0,0]\n012345678901234567890\n7\n", &queue), Fed::Incomplete);
        assert_eq!(queue.iter().collect::<Result<Vec<_>, _>>().unwrap(), ["7"]);
    }

    #[test]
    fn a_queue_that_was_closed_wants_no_more() {
        let queue = Queue::raw(10).unwrap();
        queue.close().unwrap();
        assert_eq!(run(b"1\n2\n", &queue), Fed::Whole);
        assert_eq!(queue.get(), Ok(None));
    }

    #[test]
    fn a_full_queue_is_waited_for() {
        let queue = Queue::raw(1).unwrap();
        let taken = std::thread::scope(|scope| {
            let takes = scope.spawn(|| queue.iter().collect::<Result<Vec<_>, _>>().unwrap());
            assert_eq!(run(&b"1\n".repeat(100), &queue), Fed::Whole);
            takes.join().unwrap()
        });
        assert_eq!(taken.len(), 100);
    }
}
