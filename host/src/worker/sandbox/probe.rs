//! What this machine can give: every layer, entered in a throw-away process and then put to the test.

#![forbid(unsafe_code)]

use std::io;

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketType};
use rustix::process::{DumpableBehavior, Resource};

use super::{Granted, Profile};
use crate::os::fork::ForkKey;
use crate::os::hardening;
use crate::os::socket::PacketSocket;
use crate::policy::Layer;
use crate::protocol::fork_server::Probed;
use crate::worker::control::Control;

/// Enters each layer and tells which ones hold.
pub(crate) fn run(socket: PacketSocket) -> io::Result<()> {
    let control = Control::new(socket);
    let key = ForkKey::new()?;
    let tried = super::try_all(&Profile::Run(Some(&key), Granted::default()), proof);
    let layers = tried
        .into_iter()
        .map(|(layer, result)| (layer, result.err().map(|cause| cause.text().to_owned())))
        .collect();
    control.send(&Probed { layers }, &[])
}

/// Whether a layer that was entered a moment ago does what it is for.
fn proof(layer: Layer) -> Result<(), String> {
    let text = |error: Errno| error.to_string();
    let (holds, otherwise) = match layer {
        Layer::Environment => (std::env::vars_os().next().is_none(), "variables are left"),
        Layer::Descriptors => (hardening::open_descriptors().len() <= DESCRIPTORS, "descriptors are left"),
        Layer::Session => {
            let (own, session) = (rustix::process::getpid(), rustix::process::getsid(None).map_err(text)?);
            (own == session, "it is in the host's session")
        }
        Layer::ParentDeath => (
            rustix::process::parent_process_death_signal().map_err(text)?.is_some(),
            "no signal is asked for",
        ),
        Layer::Identity => (!rustix::process::geteuid().is_root(), "it is root"),
        // Its interfaces would have other indices than the loopback's, which is the first of every namespace.
        // They were entered in one call, of which this is the sign.
        Layer::Namespaces | Layer::Network => {
            (hardening::sees_loopback_only().map_err(|error| error.to_string())?, "it sees interfaces")
        }
        Layer::EmptyRoot => {
            (std::fs::read_dir("/").is_ok_and(|mut all| all.next().is_none()), "the root has entries")
        }
        Layer::Capabilities => {
            (hardening::has_no_capability().map_err(|error| error.to_string())?, "capabilities are left")
        }
        Layer::NotDumpable => {
            let dumpable = rustix::process::dumpable_behavior().map_err(text)?;
            (dumpable == DumpableBehavior::NotDumpable, "it can be dumped")
        }
        Layer::ResourceLimits => {
            (rustix::process::getrlimit(Resource::Core).maximum == Some(0), "core files are allowed")
        }
        Layer::NoNewPrivileges => (rustix::thread::no_new_privs().map_err(text)?, "it is not set"),
        Layer::Landlock => (denied(std::fs::read_dir("/").map(drop)), "the root can be listed"),
        Layer::Seccomp => {
            let socket = rustix::net::socket(AddressFamily::UNIX, SocketType::STREAM, None);
            (denied(socket.map(drop).map_err(io::Error::from)), "a socket can be made")
        }
        // The supervisor's to try.
        Layer::Cgroup => (true, ""),
    };
    if holds { Ok(()) } else { Err(format!("it was entered and does not hold: {otherwise}")) }
}

/// The standard streams and the control socket.
const DESCRIPTORS: usize = 4;

fn denied(attempt: io::Result<()>) -> bool {
    attempt.is_err_and(|error| error.kind() == io::ErrorKind::PermissionDenied)
}
