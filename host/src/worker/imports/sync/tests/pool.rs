//! Tasks that submit tasks, against a supervisor at the other end of the socket.

use std::os::fd::OwnedFd;

use super::harness::{Flat, TASK, shared, supervisor};
use crate::limits::{NAME_BYTES_MAX, NESTED_TASKS_MAX};
use crate::os::memory_file::SealedFile;
use crate::protocol::worker::{Ask, Body, FromWorker, JoinFailure, Reply, ToWorker, WaitOn};
use crate::worker::engine::{Failure, JoinError};
use crate::worker::imports::sync::waits::NEVER;

type Submitted = Result<u64, String>;
type Joined = Result<Vec<u8>, JoinError>;
type Answers = Vec<(ToWorker, Option<OwnedFd>)>;

fn guest(answer: impl FnMut(FromWorker, Vec<OwnedFd>) -> Answers + Send + 'static) -> Flat {
    let (guest, socket) = Flat::new("pool", shared(&[]));
    supervisor(socket, answer);
    guest
}

fn reply(request: u64, reply: Reply) -> (ToWorker, Option<OwnedFd>) {
    (ToWorker::Reply { request, reply }, None)
}

/// Arguments and results of this many bytes travel in files.
fn large() -> Vec<u8> {
    (0..200_000_u32).map(|at| (at % 251) as u8).collect()
}

#[test]
fn a_task_is_submitted_and_joined_with_small_and_large_bodies() {
    let mut guest = guest(|message, files| match message {
        FromWorker::Request { request, ask: Ask::Submit { export, args } } => {
            assert_eq!(export, "echo");
            let length = match args {
                Body::Inline(bytes) => bytes.len() as u64,
                Body::Memory { length } => {
                    let file = SealedFile::seal(files.into_iter().next().unwrap()).unwrap();
                    assert_eq!((file.len(), &*file.map().unwrap()), (length, &large()[..]));
                    length
                }
            };
            // A reply that nobody asked for comes first.
            vec![reply(request + 7, Reply::Submitted(Ok(0))), reply(request, Reply::Submitted(Ok(length)))]
        }
        FromWorker::Request { request, ask: Ask::Join { task: 3 } } => {
            vec![reply(request, Reply::Joined(Ok(Body::Inline(b"abc".to_vec()))))]
        }
        FromWorker::Request { request, ask: Ask::Join { task } } => {
            let file = SealedFile::from_bytes("result", &large()).unwrap();
            let message =
                ToWorker::Reply { request, reply: Reply::Joined(Ok(Body::Memory { length: task })) };
            vec![(message, Some(std::os::fd::AsFd::as_fd(&file).try_clone_to_owned().unwrap()))]
        }
        // The machine may be slow, and a wait be told.
        _ => Vec::new(),
    });
    assert_eq!(guest.call::<_, Submitted>("submit", ("echo", &b"abc"[..])), Ok(3));
    assert_eq!(guest.call::<_, Joined>("join", (3_u64, NEVER)), Ok(b"abc".to_vec()));
    assert_eq!(guest.call::<_, Submitted>("submit", ("echo", &*large())), Ok(200_000));
    assert_eq!(guest.call::<_, Joined>("join", (200_000_u64, NEVER)), Ok(large()));
    // A result whose file is not as long as it says.
    let Err(JoinError::Other(text)) = guest.call::<_, Joined>("join", (200_001_u64, NEVER)) else {
        panic!("it was taken")
    };
    assert!(text.starts_with("the result could not be read"), "{text}");
}

#[test]
fn a_task_that_was_not_taken_says_why() {
    let mut guest = guest(|message, _| match message {
        FromWorker::Request { request, .. } => {
            vec![reply(request, Reply::Submitted(Err("nine deep".to_owned())))]
        }
        // The machine may be slow, and a wait be told.
        _ => Vec::new(),
    });
    assert_eq!(guest.call::<_, Submitted>("submit", ("f", &b""[..])), Err("nine deep".to_owned()));
    let long = "f".repeat(NAME_BYTES_MAX + 1);
    let refused = guest.call::<_, Submitted>("submit", (&*long, &b""[..])).unwrap_err();
    assert!(refused.contains("257"), "{refused}");
}

#[test]
fn each_other_end_of_a_task_has_its_error() {
    let mut guest = guest(|message, _| {
        let FromWorker::Request { request, ask: Ask::Join { task } } = message else { return Vec::new() };
        vec![reply(
            request,
            match task {
                1 => Reply::Joined(Err(JoinFailure::Ended { exit_code: 200, message: "no".to_owned() })),
                2 => Reply::Joined(Err(JoinFailure::NotFound)),
                _ => Reply::Submitted(Ok(1)),
            },
        )]
    });
    let failed = JoinError::Failed(Failure { exit_code: 200, message: "no".to_owned() });
    assert_eq!(guest.call::<_, Joined>("join", (1_u64, NEVER)), Err(failed));
    assert_eq!(guest.call::<_, Joined>("join", (2_u64, NEVER)), Err(JoinError::NotFound));
    let Err(JoinError::Other(_)) = guest.call::<_, Joined>("join", (3_u64, NEVER)) else { panic!("taken") };
}

#[test]
fn a_join_that_timed_out_loses_no_result() {
    // Answers a join when the wait that comes of it is over.
    let (mut joins, mut first) = (Vec::new(), None);
    let mut guest = guest(move |message, _| match message {
        FromWorker::Request { request, ask: Ask::Join { task: 5 } } => {
            joins.push(request);
            assert_eq!(joins.len(), 1, "one request for each task");
            Vec::new()
        }
        FromWorker::WaitBegan { wait, on, timed } => {
            assert_eq!((on, timed), (WaitOn::Task { task: 5 }, first.is_none()));
            if first.is_some() {
                vec![reply(joins[0], Reply::Joined(Ok(Body::Inline(b"5".to_vec()))))]
            } else {
                first = Some(wait);
                Vec::new()
            }
        }
        FromWorker::WaitEnded { .. } => Vec::new(),
        // The machine may be slow, and a wait be told.
        _ => Vec::new(),
    });
    assert_eq!(guest.call::<_, Joined>("join", (5_u64, 0_u32)), Err(JoinError::TimedOut));
    assert_eq!(guest.call::<_, Joined>("join", (5_u64, 30_u32)), Err(JoinError::TimedOut));
    assert_eq!(guest.call::<_, Joined>("join", (5_u64, NEVER)), Ok(b"5".to_vec()));
}

#[test]
fn a_join_ends_with_a_deadlock_or_when_the_task_is_asked_to_stop() {
    let mut guest = guest(|message, _| match message {
        FromWorker::WaitBegan { wait, on: WaitOn::Task { task: 1 }, .. } => {
            vec![(ToWorker::Deadlock { wait, cycle: "a ring".to_owned() }, None)]
        }
        FromWorker::WaitBegan { .. } => vec![(ToWorker::Cancel { task: TASK }, None)],
        _ => Vec::new(),
    });
    let deadlock = JoinError::Deadlock("a ring".to_owned());
    assert_eq!(guest.call::<_, Joined>("join", (1_u64, NEVER)), Err(deadlock));
    assert_eq!(guest.call::<_, Joined>("join", (2_u64, NEVER)), Err(JoinError::Cancelled));
}

#[test]
fn joins_of_tasks_that_are_not_over_are_bounded() {
    let mut guest = guest(|_, _| Vec::new());
    for task in 0..NESTED_TASKS_MAX as u64 {
        assert_eq!(guest.call::<_, Joined>("join", (task, 0_u32)), Err(JoinError::TimedOut));
    }
    let Err(JoinError::Other(text)) = guest.call::<_, Joined>("join", (u64::MAX, 0_u32)) else {
        panic!("it was asked")
    };
    assert!(text.contains("1024"), "{text}");
}

#[test]
fn a_cancel_is_told_and_has_no_answer() {
    let (sender, told) = std::sync::mpsc::channel();
    let mut guest = guest(move |message, _| {
        sender.send(message).unwrap();
        Vec::new()
    });
    guest.run("cancel", (5_u64,));
    assert_eq!(told.recv(), Ok(FromWorker::Request { request: 1, ask: Ask::Cancel { task: 5 } }));
}
