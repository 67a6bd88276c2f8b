//! The start of every process of ours: which one it is, and what every one of them does first.
//!
//! The supervisor executes its own program again with one environment variable that names the role.
//! The control socket arrives as standard input; standard output and error are `/dev/null`. Nothing else
//! is meant to be open, and whatever is, is closed.

#![forbid(unsafe_code)]

use std::os::fd::OwnedFd;

use crate::os::hardening::{self, exit_now};
use crate::os::signals;
use crate::os::socket::PacketSocket;
use crate::worker::control::Control;
use crate::worker::{compile, fault, fork_server, sandbox};

/// Which process this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// Holds one module and forks its workers.
    ForkServer,
    /// A worker by itself: the start method `spawn`.
    Worker,
    /// Compiles one module.
    Compile,
    /// Tries the sandbox's layers on itself and reports.
    Doctor,
}

impl Role {
    /// Every role.
    pub(crate) const ALL: [Self; 4] = [Self::ForkServer, Self::Worker, Self::Compile, Self::Doctor];

    /// Its name in the environment marker.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::ForkServer => "fork-server",
            Self::Worker => "worker",
            Self::Compile => "compile",
            Self::Doctor => "doctor",
        }
    }

    /// The role of this name.
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.name() == name)
    }
}

/// The first descriptor that is no standard stream.
const FIRST_OTHER: u32 = 3;
/// Exit code of a process that could not even begin.
const CANNOT_BEGIN: i32 = 70;

/// Is this process of ours; never returns.
///
/// Call it before anything else runs: with one thread, and nothing open that is still needed.
pub(crate) fn child_main(role: Role) -> ! {
    fault::read_environment();
    let Ok(control) = begin() else { exit_now(CANNOT_BEGIN) };
    let ended = match role {
        Role::ForkServer => fork_server::run(control, fork_server::Start::Fork),
        Role::Worker => fork_server::run(control, fork_server::Start::Become),
        Role::Compile => compile::run(control),
        Role::Doctor => sandbox::probe::run(control),
    };
    exit_now(i32::from(ended.is_err()))
}

/// The layers that need no policy, and the control socket.
fn begin() -> std::io::Result<PacketSocket> {
    hardening::clear_environment();
    // rustix reads it from `/proc` on the first question where the kernel does not tell otherwise.
    let _ = rustix::param::page_size();
    signals::reset();
    hardening::be_ended_first();
    hardening::close_descriptors_from(FIRST_OTHER)?;
    hardening::lead_new_session()?;
    hardening::die_with_parent()?;
    let control = PacketSocket::from_fd(hardening::take_stdin()?);
    if hardening::is_hung_up(&control) {
        exit_now(0);
    }
    Ok(control)
}

/// Asks for the parent-death signal once more, after a change of user, which clears it. Never returns when the
/// supervisor is gone by then.
pub(crate) fn stay_with_parent(control: &Control) {
    if hardening::die_with_parent().is_err() || hardening::is_hung_up(control) {
        exit_now(0);
    }
}

/// Takes a descriptor apart from the frame it came with; none is a supervisor that lost its mind.
pub(crate) fn take_descriptor(descriptors: &mut impl Iterator<Item = OwnedFd>) -> std::io::Result<OwnedFd> {
    descriptors.next().ok_or_else(|| std::io::Error::from(std::io::ErrorKind::InvalidData))
}
