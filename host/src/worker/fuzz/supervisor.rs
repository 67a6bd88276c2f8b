//! Who is at the other end of the link: reads everything, answers what is asked, ends what waits for ever.

#![forbid(unsafe_code)]

use std::sync::Arc;

use crate::limits::FRAME_BYTES_MAX;
use crate::os::socket::{PacketSocket, Received};
use crate::protocol::frame;
use crate::protocol::worker::{Ask, Body, FromWorker, JoinFailure, Reply, ToWorker};
use crate::sync::{DictAnswer, DictOperation, SyncError};
use crate::worker::link::Link;

/// Runs `guest` with a link, and gives back what was said over it besides what the guest printed. `whim`
/// chooses among the answers.
pub(super) fn supervised<T>(task: u64, whim: u8, guest: impl FnOnce(Arc<Link>) -> T) -> (T, Vec<FromWorker>) {
    let (ours, theirs) = PacketSocket::pair().expect("a socket pair");
    let link = Arc::new(Link::with_buffer(theirs, vec![0; FRAME_BYTES_MAX]));
    std::thread::scope(|scope| {
        let supervisor = scope.spawn(|| Supervisor { socket: ours, task, whim }.serve());
        let made = guest(link);
        // The guest's link is gone with it, so the thread comes to its end.
        let said = supervisor.join().expect("it keeps what is wrong for its caller");
        (made, said.unwrap_or_else(|wrong| panic!("a worker's message is none of ours: {wrong}")))
    })
}

struct Supervisor {
    socket: PacketSocket,
    task: u64,
    whim: u8,
}

impl Supervisor {
    /// Never stops reading before the end: a worker that cannot send ends its process.
    fn serve(mut self) -> Result<Vec<FromWorker>, String> {
        let mut buffer = vec![0; FRAME_BYTES_MAX];
        let mut said = Ok(Vec::new());
        loop {
            match self.socket.receive(&mut buffer) {
                Ok(Received::Packet(length, _)) => match frame::decode::<FromWorker>(&buffer[..length]) {
                    Ok(message) => {
                        self.answer(&message);
                        if let (Ok(said), true) = (&mut said, is_kept(&message)) {
                            said.push(message);
                        }
                    }
                    Err(error) => said = Err(error.to_string()),
                },
                Ok(Received::Closed) => return said,
                other => said = Err(format!("{other:?}")),
            }
        }
    }

    fn answer(&mut self, message: &FromWorker) {
        self.whim = self.whim.wrapping_mul(5).wrapping_add(1);
        match message {
            FromWorker::Request { request, ask } => {
                if let Some(reply) = reply(ask, self.whim) {
                    self.send(&ToWorker::Reply { request: *request, reply });
                }
            }
            FromWorker::WaitBegan { wait, .. } => match self.whim % 8 {
                0 => self.send(&ToWorker::Cancel { task: self.task }),
                1 => self.send(&ToWorker::Deadlock { wait: *wait, cycle: "a waits for b".to_owned() }),
                _ if cfg!(fuzzing) => interrupt(),
                // Other tests of the same process have waits too.
                _ => self.send(&ToWorker::Deadlock { wait: *wait, cycle: String::new() }),
            },
            _ => {}
        }
    }

    fn send(&self, message: &ToWorker) {
        let bytes = frame::encode(message).expect("these messages are short");
        // A guest that has ended meanwhile reads nothing.
        let _ = self.socket.send(&bytes, &[]);
    }
}

/// What says how a guest ended; the rest could be any amount.
fn is_kept(message: &FromWorker) -> bool {
    matches!(message, FromWorker::Started { .. } | FromWorker::Finished { .. })
}

/// Right answers mostly, and now and then one that belongs to another question.
fn reply(ask: &Ask, whim: u8) -> Option<Reply> {
    let dict = |operation: &DictOperation| match operation {
        DictOperation::Get { .. } | DictOperation::Set { .. } | DictOperation::Remove { .. } => {
            DictAnswer::Value((whim & 1 == 0).then(|| vec![whim; usize::from(whim)]))
        }
        DictOperation::CompareAndSwap { .. } => DictAnswer::Flag(whim & 1 == 0),
        DictOperation::Keys { .. } => {
            DictAnswer::Keys { keys: vec!["key".repeat(usize::from(whim & 15)); 3], more: whim & 16 != 0 }
        }
        DictOperation::Len | DictOperation::Clear => DictAnswer::Count(u64::from(whim)),
    };
    if whim.is_multiple_of(13) {
        return Some(Reply::Dict(Err(SyncError::Damaged("it is".to_owned()))));
    }
    match ask {
        Ask::Dict { operation, .. } => Some(Reply::Dict(Ok(dict(operation)))),
        Ask::Submit { .. } if whim & 1 == 0 => Some(Reply::Submitted(Ok(u64::from(whim)))),
        Ask::Submit { .. } => Some(Reply::Submitted(Err("there is no such task".to_owned()))),
        Ask::Join { .. } => Some(Reply::Joined(match whim % 3 {
            0 => Ok(Body::Inline(vec![whim; usize::from(whim)])),
            1 => Err(JoinFailure::Ended { exit_code: whim, message: "it failed".to_owned() }),
            _ => Err(JoinFailure::NotFound),
        })),
        Ask::Cancel { .. } => None,
    }
}

/// Does what the supervisor's signal does to a worker: the main thread, where targets run, is its first choice.
fn interrupt() {
    let this = rustix::process::getpid();
    rustix::process::kill_process(this, rustix::process::Signal::USR2).expect("a process may signal itself");
}
