//! What a module says while it is initialised in the fork server, where nobody listens.

#![forbid(unsafe_code)]

use crate::limits::INIT_OUTPUT_BYTES_MAX;
use crate::protocol::worker::{Ask, FromWorker, JoinFailure, Reply, Stream};
use crate::sync::SyncError;

/// Why a module that is being initialised gets nothing from its host.
const REFUSED: &str = "there are no tasks and no shared objects while a module is initialised";

/// The beginning of what was written to each standard stream, and of the log, as lines.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Aside {
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: Vec<u8>,
}

impl Aside {
    /// Adds what fits; the rest is lost.
    pub(super) fn add(&mut self, message: &FromWorker) {
        match message {
            FromWorker::Output { stream: Stream::Stdout, bytes } => add(&mut self.stdout, bytes),
            FromWorker::Output { stream: Stream::Stderr, bytes } => add(&mut self.stderr, bytes),
            FromWorker::Log { target, message, .. } => {
                add(&mut self.stderr, format!("{target}: {message}\n").as_bytes());
            }
            _ => {}
        }
    }
}

fn add(kept: &mut Vec<u8>, bytes: &[u8]) {
    let room = INIT_OUTPUT_BYTES_MAX - kept.len();
    kept.extend_from_slice(&bytes[..bytes.len().min(room)]);
}

/// The answer to whatever is asked.
pub(super) fn refusal(ask: &Ask) -> Reply {
    match ask {
        Ask::Dict { .. } => Reply::Dict(Err(SyncError::AccessDenied(REFUSED.to_owned()))),
        Ask::Join { .. } => Reply::Joined(Err(JoinFailure::NotFound)),
        Ask::Submit { .. } | Ask::Cancel { .. } => Reply::Submitted(Err(REFUSED.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::worker::Body;
    use crate::worker::link::Link;

    #[test]
    fn what_is_said_aside_is_kept_as_far_as_there_is_room() {
        let link = Link::detached();
        let said = |stream, byte, length| FromWorker::Output { stream, bytes: vec![byte; length] };
        link.send(&said(Stream::Stdout, b'a', INIT_OUTPUT_BYTES_MAX - 1), &[]);
        link.send(&said(Stream::Stdout, b'b', 2), &[]);
        link.send(&said(Stream::Stdout, b'c', 1), &[]);
        link.send(&said(Stream::Stderr, b'e', 1), &[]);
        let aside = link.take_aside();
        assert_eq!(aside.stdout.len(), INIT_OUTPUT_BYTES_MAX);
        assert_eq!(aside.stdout.last(), Some(&b'b'));
        assert_eq!(aside.stderr, b"e");
        assert_eq!(link.take_aside(), Aside::default());
    }

    #[test]
    fn what_is_asked_aside_is_refused_at_once() {
        let link = Link::detached();
        let body = Body::Inline(Vec::new());
        let request = link.request(Ask::Submit { export: "work".to_owned(), args: body }, &[]);
        let (reply, _) = link.take_reply(request).unwrap();
        assert_eq!(reply, Reply::Submitted(Err(REFUSED.to_owned())));
        let request = link.request(Ask::Join { task: 1 }, &[]);
        assert_eq!(link.take_reply(request).unwrap().0, Reply::Joined(Err(JoinFailure::NotFound)));
    }
}
