//! Interrupts, signals from outside, and supervisors that go away.

#![forbid(unsafe_code)]

use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::harness::*;
use crate::os::signals::INTERRUPT_SIGNAL;
use crate::os::socket::PacketSocket;
use crate::protocol::fork_server::{FromForkServer, ToForkServer};
use crate::protocol::worker::{Claim, Entry, FromWorker};

const SPIN: &str = "(module (func (export \"_start\") (loop (br 0))))";

/// A worker that has acknowledged a task that never ends.
fn spinning(server: &Process) -> Worker {
    let worker = fork(server);
    worker.start(start(Entry::Command), &[]);
    let started = receive::<FromWorker>(&worker.socket).unwrap().0;
    assert_eq!(started, FromWorker::Started { task: 42 });
    worker
}

#[test]
fn a_spinning_guest_is_interrupted() {
    let artifact = compile(SPIN);
    let server = serve(&artifact, ENGINE, None);
    let worker = spinning(&server);
    let asked = Instant::now();
    worker.signal(Signal::from_named_raw(INTERRUPT_SIGNAL).unwrap());
    let story = worker.story();
    assert!(matches!(story.claim(), Claim::Interrupted { .. }), "{:?}", story.said);
    assert!(asked.elapsed() < Duration::from_secs(2));
    assert_eq!(story.status.exit_status(), Some(0));
}

#[test]
fn one_fault_signal_from_outside_is_the_end_by_that_signal() {
    let artifact = compile(SPIN);
    let server = serve(&artifact, ENGINE, None);
    for signal in [Signal::SEGV, Signal::BUS, Signal::FPE, Signal::ILL, Signal::KILL, Signal::TERM] {
        let worker = spinning(&server);
        worker.signal(signal);
        let story = worker.story();
        assert!(story.claims().is_empty());
        assert_eq!(story.status.terminating_signal(), Some(signal.as_raw()), "{signal:?}");
    }
}

#[test]
fn an_idle_worker_dies_of_one_signal_too() {
    let artifact = compile(SPIN);
    let server = serve(&artifact, ENGINE, None);
    for signal in [Signal::SEGV, Signal::FPE] {
        let worker = fork(&server);
        worker.signal(signal);
        assert_eq!(worker.story().status.terminating_signal(), Some(signal.as_raw()));
    }
}

#[test]
fn an_interrupt_of_an_idle_worker_hurts_no_later_task() {
    let artifact = compile("(module (func (export \"_start\")))");
    let server = serve(&artifact, ENGINE, None);
    let worker = fork(&server);
    worker.signal(Signal::from_named_raw(INTERRUPT_SIGNAL).unwrap());
    worker.start(start(Entry::Command), &[]);
    assert_eq!(*worker.story().claim(), Claim::Exited { code: 0 });
}

#[test]
fn an_idle_worker_ends_when_the_supervisor_hangs_up() {
    let artifact = compile(SPIN);
    let server = serve(&artifact, ENGINE, None);
    let Worker { socket, pidfd } = fork(&server);
    drop(socket);
    let (unused, _) = PacketSocket::pair().unwrap();
    let status = wait(&pidfd);
    drop(unused);
    assert_eq!(status.exit_status(), Some(0));
}

#[test]
fn a_fork_server_ends_when_the_supervisor_hangs_up_and_its_workers_go_on() {
    let artifact = compile("(module (func (export \"_start\")))");
    let mut server = serve(&artifact, ENGINE, None);
    let worker = fork(&server);
    server.hang_up();
    assert!(server.child.wait().unwrap().success());
    worker.start(start(Entry::Command), &[]);
    assert_eq!(*worker.story().claim(), Claim::Exited { code: 0 });
}

#[test]
fn faults_of_the_kit_do_what_they_say() {
    let artifact = compile("(module (func (export \"_start\")))");
    for (fault, messages, exit, signal) in [
        ("before-started:exit7", 0, Some(7), None),
        ("after-started:kill", 1, None, Some(11)),
        ("before-finished:exit0", 1, Some(0), None),
        ("after-finished:exit7", 2, Some(7), None),
    ] {
        let server = serve(&artifact, ENGINE, Some(fault));
        let worker = fork(&server);
        worker.start(start(Entry::Command), &[]);
        let story = worker.story();
        assert_eq!(story.said.len(), messages, "{fault}");
        assert_eq!(story.status.exit_status(), exit, "{fault}");
        assert_eq!(story.status.terminating_signal(), signal, "{fault}");
    }
}

#[test]
fn a_fork_server_that_dies_after_the_clone_leaves_an_orphan_in_its_group() {
    let artifact = compile(SPIN);
    let mut server = serve(&artifact, ENGINE, Some("fork-server-after-clone:kill"));
    let (ours, theirs) = PacketSocket::pair().unwrap();
    send(&server.socket, &ToForkServer::Fork { worker: 1 }, &[&theirs]);
    drop(theirs);
    assert!(receive::<FromForkServer>(&server.socket).is_none());
    // The worker lives, is ours, and can be found by the fork server's process group.
    let group = rustix::process::Pid::from_raw(server.child.id().cast_signed()).unwrap();
    rustix::process::kill_process_group(group, Signal::KILL).unwrap();
    let options = rustix::process::WaitIdOptions::EXITED;
    server.child.wait().unwrap();
    let orphan = rustix::process::waitid(rustix::process::WaitId::Pgid(Some(group)), options).unwrap();
    assert_eq!(orphan.unwrap().terminating_signal(), Some(Signal::KILL.as_raw()));
    drop(ours);
}
