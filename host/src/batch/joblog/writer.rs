//! The file of a job log: appended to, a record at a time, each with one write.
//!
//! What was written survives the death of this program; what was synced survives the machine's. After a write that
//! failed nothing more is written: a record behind a torn one would be lost with it.

#![forbid(unsafe_code)]

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;

use super::recover::{RecoverError, Recovery};
use crate::limits::JOBLOG_SYNC_TIME;

/// When what was written is pushed to the disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sync {
    /// After each record, before anything else happens.
    Each,
    /// What has come together, once a second and at the end.
    #[default]
    Batch,
    /// When the kernel likes.
    Off,
}

/// Why a job log cannot be had, or cannot be written on. Each says which file.
#[derive(Debug, thiserror::Error)]
pub enum JobLogError {
    /// It cannot be opened, read or cut.
    #[error("cannot open the job log `{}`: {error}", .path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// The cause.
        error: io::Error,
    },
    /// There is one.
    #[error("the job log `{}` is there already: add --resume to go on with it, or name another file", .0.display())]
    Exists(PathBuf),
    /// Another run writes it.
    #[error("the job log `{}` is being written by another run: wait for its end, or name another file", .0.display())]
    InUse(PathBuf),
    /// It is something else.
    #[error("`{}` cannot be gone on with: {error}", .path.display())]
    Recover {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        error: RecoverError,
    },
    /// A module is another one than its log says.
    #[error(
        "the module `{module}` has changed since `{}` was begun (SHA-256 {before} then, {now} now): what it finished \
         then may not be what it would do now; bring the module back, or name another job log", .path.display()
    )]
    ModuleChanged {
        /// The file.
        path: PathBuf,
        /// The module as it is named.
        module: String,
        /// The beginning of its digest in the log.
        before: String,
        /// The beginning of its digest now.
        now: String,
    },
    /// A record could not be written.
    #[error("cannot write to the job log `{}`: {error}", .path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// The cause.
        error: io::Error,
    },
}

/// The open file, with its lock.
#[derive(Debug)]
pub(super) struct Writer {
    path: PathBuf,
    file: Arc<File>,
    position: u64,
    /// Records of this run.
    records: u64,
    sync: Sync,
    syncer: Option<Syncer>,
    is_broken: bool,
}

impl Writer {
    /// Opens and locks the file, and reads what is in it. With `resume`, a torn record at its end is cut off; without,
    /// it must be empty.
    pub(super) fn open(path: &Path, sync: Sync, resume: bool) -> Result<(Self, Recovery), JobLogError> {
        let cannot = |error| JobLogError::Open { path: path.to_owned(), error };
        let options = || OpenOptions::new().read(true).append(true).create(true).clone();
        let mut file = options().open(path).map_err(cannot)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(JobLogError::InUse(path.to_owned())),
            Err(TryLockError::Error(error)) => return Err(cannot(error)),
        }
        let length = file.metadata().map_err(cannot)?.len();
        if length > 0 && !resume {
            return Err(JobLogError::Exists(path.to_owned()));
        }
        // A device has no length, and may have no end.
        let recovery = if length == 0 { Ok(Recovery::default()) } else { read(&mut file) };
        let recovery = recovery.map_err(|error| match error {
            ReadError::Io(error) => cannot(error),
            ReadError::Recover(error) => JobLogError::Recover { path: path.to_owned(), error },
        })?;
        if recovery.torn_bytes() > 0 {
            file.set_len(recovery.whole_bytes()).map_err(cannot)?;
        }
        let (file, position) = (Arc::new(file), recovery.whole_bytes());
        let syncer = match sync {
            Sync::Batch => Some(Syncer::start(Arc::clone(&file)).map_err(cannot)?),
            Sync::Each | Sync::Off => None,
        };
        Ok((
            Self { path: path.to_owned(), file, position, records: 0, sync, syncer, is_broken: false },
            recovery,
        ))
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn is_broken(&self) -> bool {
        self.is_broken
    }

    /// Waits for the last sync.
    pub(super) fn finish(&mut self) {
        self.syncer = None;
    }

    /// Appends a record; once that has failed, nothing any more.
    pub(super) fn append(&mut self, record: &[u8]) -> Result<(), JobLogError> {
        if self.is_broken {
            return Ok(());
        }
        die_where_chosen(&self.file, self.position, self.records, record);
        self.records += 1;
        let written = (&*self.file).write_all(record).and_then(|()| match self.sync {
            Sync::Each => self.file.sync_data(),
            Sync::Batch | Sync::Off => Ok(()),
        });
        if let Err(error) = written {
            self.is_broken = true;
            return Err(JobLogError::Write { path: self.path.clone(), error });
        }
        self.position += record.len() as u64;
        if let Some(syncer) = &self.syncer {
            syncer.ask();
        }
        Ok(())
    }
}

enum ReadError {
    Io(io::Error),
    Recover(RecoverError),
}

fn read(file: &mut File) -> Result<Recovery, ReadError> {
    const PIECE_BYTES: usize = 256 * 1024;
    let (mut recovery, mut piece) = (Recovery::default(), vec![0; PIECE_BYTES]);
    file.seek(SeekFrom::Start(0)).map_err(ReadError::Io)?;
    loop {
        match file.read(&mut piece) {
            Ok(0) => return Ok(recovery),
            Ok(length) => recovery.feed(&piece[..length]).map_err(ReadError::Recover)?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(ReadError::Io(error)),
        }
    }
}

/// Syncs on a thread of its own, so that nobody waits for the disk.
#[derive(Debug)]
struct Syncer {
    asked: Option<SyncSender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Syncer {
    fn start(file: Arc<File>) -> io::Result<Self> {
        let (asked, requests) = sync_channel(1);
        let thread = std::thread::Builder::new().name("joblog-sync".to_owned());
        let thread = thread.spawn(move || sync_when_asked(&file, &requests))?;
        Ok(Self { asked: Some(asked), thread: Some(thread) })
    }

    /// There is something to sync. One request waits for all that come until it is served.
    fn ask(&self) {
        if let Some(asked) = &self.asked {
            let _ = asked.try_send(());
        }
    }
}

impl Drop for Syncer {
    /// Waits for the last sync.
    fn drop(&mut self) {
        self.asked = None;
        if let Some(thread) = self.thread.take() {
            // It has nothing in it that panics.
            let _ = thread.join();
        }
    }
}

fn sync_when_asked(file: &File, requests: &Receiver<()>) {
    while requests.recv().is_ok() {
        if let Err(error) = file.sync_data() {
            tracing::warn!(%error, "the job log cannot be synced");
        }
        // Requests of the next second wait for its end; the end of all requests is not waited for.
        let is_over = || {
            let until = std::time::Instant::now() + JOBLOG_SYNC_TIME;
            let mut is_asked = false;
            loop {
                let left = until.saturating_duration_since(std::time::Instant::now());
                match requests.recv_timeout(left) {
                    Ok(()) => is_asked = true,
                    Err(RecvTimeoutError::Timeout) => return (is_asked, false),
                    Err(RecvTimeoutError::Disconnected) => return (is_asked, true),
                }
            }
        };
        let (is_asked, ended) = is_over();
        if is_asked {
            // What fails here fails at the next one too, and is told there.
            let _ = file.sync_data();
        }
        if ended {
            return;
        }
    }
}

/// The fault kit's points in this file, in builds with debug assertions only. `WASMPOOL_FAULT` chooses one:
/// `joblog-byte:kill:N` kills this program when the log has exactly N bytes; `joblog-at:kill:N` after record N of this
/// run, the first being 0; `joblog-before:kill:N` and `joblog-after:kill:N` a byte before and after that.
fn die_where_chosen(mut file: &File, position: u64, index: u64, record: &[u8]) {
    if !cfg!(debug_assertions) {
        return;
    }
    let Some(chosen) = std::env::var("WASMPOOL_FAULT").ok() else { return };
    let Some((point, number)) = chosen.split_once(":kill:") else { return };
    let Ok(number) = number.parse::<u64>() else { return };
    let length = record.len() as u64;
    let written = match point {
        "joblog-byte" => number.saturating_sub(position),
        "joblog-before" if index == number => length - 1,
        "joblog-at" if index == number => length,
        "joblog-after" if index == number + 1 => 1,
        _ => return,
    };
    if written > length {
        return;
    }
    let _ = file.write_all(&record[..usize::try_from(written).unwrap_or(record.len())]);
    let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
    loop {
        std::thread::park();
    }
}
