//! The layers: which of them stand for whom, and what holds when the wall of WASI is not there.

#![forbid(unsafe_code)]

use std::fs;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt, symlink};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::{CWD, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

use super::harness::*;
use crate::directory::GrantedDir;
use crate::policy::{DirAccess, Layer};
use crate::protocol::frame;
use crate::protocol::worker::{Claim, Entry, FromWorker, LogLevel};

const USERS: [User; 2] = [User::Ours, User::Ordinary];

/// A folder that an ordinary user may use, with an inside to grant and a secret outside of it.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("inside")).unwrap();
    fs::write(folder.path().join("inside/file"), "inside").unwrap();
    fs::write(folder.path().join("secret"), SECRET).unwrap();
    for path in ["", "inside", "inside/file", "secret"] {
        let path = folder.path().join(path);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o777)).unwrap();
    }
    folder
}

const SECRET: &str = "a secret of the host";

fn grant(folder: &Path, access: DirAccess) -> GrantedDir {
    GrantedDir::open(folder.join("inside"), "/d", access).unwrap()
}

/// Reads `/d/file`, prints it, and makes `/d/made`; exits with the error of that.
const READ_AND_MAKE: &str = r#"(module
    (import "wasi_snapshot_preview1" "path_open"
        (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "path_create_directory"
        (func $make (param i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
    (memory (export "memory") 1)
    (data (i32.const 0) "filemade\00\01\00\00\40\00\00\00")
    (func (export "_start")
        (if (call $open (i32.const 3) (i32.const 0) (i32.const 0) (i32.const 4) (i32.const 0)
            (i64.const 2) (i64.const 0) (i32.const 0) (i32.const 32)) (then unreachable))
        (if (call $read (i32.load (i32.const 32)) (i32.const 8) (i32.const 1) (i32.const 36)) (then unreachable))
        (i32.store (i32.const 12) (i32.load (i32.const 36)))
        (if (call $write (i32.const 1) (i32.const 8) (i32.const 1) (i32.const 36)) (then unreachable))
        (call $exit (call $make (i32.const 3) (i32.const 4) (i32.const 4)))))"#;

#[test]
fn every_layer_that_the_doctor_finds_stands_for_whoever_starts_it() {
    let artifact = compile(READ_AND_MAKE);
    for user in USERS {
        let found = available(user);
        let (_server, layers) = serve_dirs(user, &artifact, &[], None);
        assert_eq!(layers, Ok(found), "{user:?}");
    }
}

#[test]
fn a_layer_of_the_minimum_that_is_missing_refuses_and_is_named() {
    let artifact = compile(READ_AND_MAKE);
    for layer in ["seccomp", "no-new-privileges", "resource-limits"] {
        let (_server, layers) =
            serve_dirs(User::Ours, &artifact, &[], Some(&format!("layer-{layer}:missing")));
        let refused = layers.unwrap_err();
        assert!(refused.contains(&format!("`{layer}`")), "{refused}");
    }
    let neither = "layer-landlock:missing,layer-namespaces:missing";
    let refused = serve_dirs(User::Ours, &artifact, &[], Some(neither)).1.unwrap_err();
    assert!(refused.contains("`landlock`") && refused.contains("`empty-root`"), "{refused}");
    let (_server, layers) = serve_dirs(User::Ours, &artifact, &[], Some("layer-landlock:missing"));
    assert!(!layers.unwrap().contains(&Layer::Landlock));
}

#[test]
fn granted_directories_are_there_with_and_without_an_empty_root() {
    let artifact = compile(READ_AND_MAKE);
    // ERRNO_PERM of preview 1, by WASI's own word.
    for (access, code) in [(DirAccess::ReadWrite, 0), (DirAccess::ReadOnly, 63)] {
        for user in USERS {
            for fault in [None, Some("layer-namespaces:missing")] {
                let folder = folder();
                let (server, layers) = serve_dirs(user, &artifact, &[grant(folder.path(), access)], fault);
                let layers = layers.unwrap();
                assert!(!layers.contains(&Layer::EmptyRoot) || fault.is_none());
                let worker = fork(&server);
                worker.start(start(Entry::Command), &[]);
                let story = worker.story();
                assert_eq!(story.claim(), &Claim::Exited { code }, "{user:?} {fault:?}");
                assert_eq!(story.stdout(), "inside");
                assert_eq!(folder.path().join("inside/made").exists(), access == DirAccess::ReadWrite);
            }
        }
    }
}

#[test]
fn another_directory_under_the_granted_name_is_refused() {
    let artifact = compile(READ_AND_MAKE);
    let folder = folder();
    let granted = grant(folder.path(), DirAccess::ReadOnly);
    fs::rename(folder.path().join("inside"), folder.path().join("old")).unwrap();
    fs::create_dir(folder.path().join("inside")).unwrap();
    let (_server, layers) = serve_dirs(User::Ours, &artifact, &[granted], None);
    let refused = layers.unwrap_err();
    assert!(refused.contains("since it was granted"), "{refused}");
}

/// Runs in the worker, as native code of an attacker who knows no WASI: logs each way that leads to the secret.
pub(in crate::worker) fn escape(send: impl Fn(&[u8])) {
    let log = |target: &str, message: String| {
        let record = FromWorker::Log { level: LogLevel::Info, target: target.to_owned(), message };
        send(&frame::encode(&record).unwrap());
    };
    // The granted directory itself, as the sandbox left it within reach.
    let mut options = fs::OpenOptions::new();
    options.read(true).custom_flags(libc::O_PATH | libc::O_DIRECTORY);
    let inside = ["/0", "."].iter().find_map(|path| options.open(path).ok());
    let Some(inside) = inside else { return log("inside", "it cannot be reached".to_owned()) };
    let open = |path: &str, flags: OFlags| {
        // The kernel refuses a mode for what is not made.
        let mode = if flags.contains(OFlags::CREATE) { 0o600 } else { 0 };
        let mode = Mode::from_raw_mode(mode);
        rustix::fs::openat2(&inside, path, flags | OFlags::CLOEXEC, mode, ResolveFlags::empty())
    };
    let read = open("file", OFlags::RDONLY).map(|_| ());
    log("inside", format!("{read:?}"));
    let unchecked = rustix::fs::openat(&inside, "file", OFlags::RDONLY, Mode::empty());
    let step = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW;
    let step = rustix::fs::openat(&inside, "sub", step, Mode::empty());
    let denied = [unchecked.err(), step.err()].iter().all(|error| *error == Some(Errno::PERM));
    log("openat", denied.to_string());
    let mut reached = 0;
    let mut refused = 0;
    for _ in 0..ROUNDS {
        for path in WAYS_OUT {
            for flags in [OFlags::RDONLY, OFlags::WRONLY | OFlags::TRUNC, OFlags::RDWR] {
                match open(path, flags) {
                    Ok(file) => reached += usize::from(is_secret(&file)),
                    Err(_) => refused += 1,
                }
            }
        }
    }
    log("refused", format!("{}", refused > 0));
    log("reached", reached.to_string());
    let moved = rustix::fs::renameat(&inside, "../secret", &inside, "mine");
    log("moved", format!("{:?}", moved.err()));
    let linked = rustix::fs::linkat(&inside, "../secret", &inside, "mine", rustix::fs::AtFlags::empty());
    log("linked", format!("{:?}", linked.err()));
    let time = rustix::fs::Timespec { tv_sec: 1, tv_nsec: 0 };
    let times = rustix::fs::Timestamps { last_access: time, last_modification: time };
    let no_flags = rustix::fs::AtFlags::empty();
    let aged = rustix::fs::utimensat(&inside, "../secret", &times, no_flags);
    let own = open("file", OFlags::RDONLY).and_then(|file| rustix::fs::futimens(&file, &times));
    log("aged", format!("{:?}", aged.err()));
    log("aged its own", own.is_ok().to_string());
    log("written", format!("{:?}", open("new", OFlags::CREATE | OFlags::WRONLY).map(drop)));
    log(
        "walked",
        format!(
            "{:?}",
            rustix::fs::openat2(CWD, "/etc", OFlags::PATH, Mode::empty(), ResolveFlags::empty()).map(drop)
        ),
    );
}

const ROUNDS: usize = 500;
const WAYS_OUT: [&str; 7] =
    ["../secret", "../inside/../secret", "link", "link/", "storm", "storm/../../secret", "sub/link"];

fn is_secret(file: &std::os::fd::OwnedFd) -> bool {
    let mut buffer = [0; 64];
    let length = rustix::io::pread(file, &mut buffer, 0).unwrap_or(0);
    &buffer[..length] == SECRET.as_bytes()
}

/// Swaps a directory and a link that leads out, as fast as it can, until told to stop.
fn storm(inside: &Path, stop: &AtomicBool) {
    let (here, there) = (inside.join("storm"), inside.join("other"));
    while !stop.load(Ordering::Relaxed) {
        let swapped = rustix::fs::renameat_with(CWD, &here, CWD, &there, rustix::fs::RenameFlags::EXCHANGE);
        swapped.unwrap();
    }
}

/// The second wall alone: nobody checks paths but the kernel.
#[test]
fn a_native_worker_opens_nothing_outside_its_directories() {
    let artifact = compile(READ_AND_MAKE);
    for user in USERS {
        for fault in ["", ",layer-namespaces:missing", ",layer-landlock:missing"] {
            for access in [DirAccess::ReadWrite, DirAccess::ReadOnly] {
                let folder = folder();
                let inside = folder.path().join("inside");
                symlink(folder.path().join("secret"), inside.join("link")).unwrap();
                symlink("../secret", inside.join("other")).unwrap();
                fs::create_dir_all(inside.join("sub")).unwrap();
                fs::create_dir(inside.join("storm")).unwrap();
                symlink("../../secret", inside.join("sub/link")).unwrap();
                let fault = format!("before-finished:escape{fault}");
                let dirs = [grant(folder.path(), access)];
                let (server, layers) = serve_dirs(user, &artifact, &dirs, Some(&fault));
                layers.unwrap();
                let stop = AtomicBool::new(false);
                let said = std::thread::scope(|scope| {
                    scope.spawn(|| storm(&inside, &stop));
                    let worker = fork(&server);
                    worker.start(start(Entry::Command), &[]);
                    let said = worker.story().said;
                    stop.store(true, Ordering::Relaxed);
                    said
                });
                let answers = logged(&said);
                let row = format!("{user:?} {fault} {access:?}: {answers:?}");
                assert_eq!(answers[0], ("inside", "Ok(())"), "{row}");
                // wasmtime-wasi's own way of resolving paths has nothing to go by.
                assert_eq!(answers[1], ("openat", "true"), "{row}");
                assert_eq!(&answers[2..4], [("refused", "true"), ("reached", "0")], "{row}");
                assert_ne!(answers[4], ("moved", "None"), "{row}");
                assert_ne!(answers[5], ("linked", "None"), "{row}");
                assert_ne!(answers[6], ("aged", "None"), "{row}");
                // Another user's file may be read only by everybody, and has its times from its owner.
                let is_own = user == User::Ours || !rustix::process::geteuid().is_root();
                let may_age = access == DirAccess::ReadWrite && is_own;
                assert_eq!(answers[7], ("aged its own", &*may_age.to_string()), "{row}");
                assert_eq!(answers[8].1 == "Ok(())", access == DirAccess::ReadWrite, "{row}");
                assert_eq!(fs::read_to_string(folder.path().join("secret")).unwrap(), SECRET);
            }
        }
    }
}
