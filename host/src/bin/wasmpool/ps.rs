//! `wasmpool ps`: the batches of this user that run, and what runs in each.

#![forbid(unsafe_code)]

use std::io::{self, Read};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::net::sockopt::socket_peercred;
use rustix::process::geteuid;
use wasmpool::exit_code;

use crate::arguments::{Ps, TextOrJson};
use crate::console::Console;
use crate::failure::Failure;
use crate::live::folder::Folder;
use crate::live::status::Document;

/// How long one batch may take to answer.
const ANSWER_TIME: Duration = Duration::from_secs(2);
/// Bytes of one answer.
const ANSWER_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// Shows them; code 1 when the batch that is asked for does not run.
pub fn ps(arguments: &Ps, console: &Arc<Console>) -> Result<u8, Failure> {
    let folder = match Folder::find() {
        Ok(folder) => Some(folder),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => {
            return Err(Failure::new(exit_code::NOT_SET_UP, format!("cannot look for batches: {error}")));
        }
    };
    let mut documents = Vec::new();
    for (folder, pid) in
        folder.iter().flat_map(|folder| folder.processes().into_iter().map(move |pid| (folder, pid)))
    {
        if arguments.pid.is_some_and(|wanted| wanted != pid) {
            continue;
        }
        match ask(folder, pid) {
            Ok(document) => documents.push(document),
            // It has ended since.
            Err(error)
                if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) => {}
            Err(error) => console.say(&format!("process {pid} does not tell how its batch stands: {error}")),
        }
    }
    if let Some(pid) = arguments.pid.filter(|_| documents.is_empty()) {
        return Err(Failure::new(exit_code::FAILED, format!("process {pid} runs no batch of this user")));
    }
    console.print(match arguments.format {
        TextOrJson::Json => {
            format!("{}\n", serde_json::to_string(&documents).expect("texts and numbers always have JSON"))
        }
        TextOrJson::Text if documents.is_empty() => "no batch runs\n".to_owned(),
        TextOrJson::Text => documents.iter().map(Document::text).collect(),
    })?;
    Ok(exit_code::SUCCESS)
}

fn ask(folder: &Folder, pid: u32) -> io::Result<Document> {
    let mut stream = UnixStream::connect(folder.socket(pid))?;
    let uid = socket_peercred(&stream)?.uid;
    if uid != geteuid() {
        return Err(io::Error::other("its socket is another user's"));
    }
    let (begun, mut answer, mut buffer) = (Instant::now(), Vec::new(), vec![0; 64 * 1024]);
    loop {
        // Each read may wait; all of them together may not take longer either.
        let left = ANSWER_TIME.saturating_sub(begun.elapsed());
        if left.is_zero() || answer.len() as u64 > ANSWER_BYTES_MAX {
            return Err(io::Error::other(format!("no whole answer within {ANSWER_TIME:?}")));
        }
        stream.set_read_timeout(Some(left))?;
        match stream.read(&mut buffer) {
            Ok(0) => return serde_json::from_slice(&answer).map_err(io::Error::other),
            Ok(length) => answer.extend_from_slice(&buffer[..length]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                return Err(io::Error::other(format!("no answer within {ANSWER_TIME:?}")));
            }
            Err(error) => return Err(error),
        }
    }
}
