//! Where a process of ours stands: in namespaces of its own, on an empty root, as a user without rights, without
//! a capability.
//!
//! They depend on each other, so they are entered together. A privileged process makes its namespaces and its
//! root first and gives its user up then; any other needs a user namespace, in which it may do so, and keeps its
//! user. With granted directories the user is kept in any case: another one could not use a directory that only
//! its owner may enter. With granted addresses the host's network is kept. In the end no capability is left, in
//! whichever namespace.

#![forbid(unsafe_code)]

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{Mode, OFlags};
use rustix::process::{DumpableBehavior, Gid, Uid};
use rustix::thread::{CapabilitySet, CapabilitySets};

use super::{Cause, Granted, root};
use crate::os::hardening;
use crate::os::namespaces::{self, Namespaces};
use crate::policy::Layer;
use crate::worker::fault;

/// User ids from here on belong to nobody on any machine; each process takes one of its own, by its pid.
const FIRST_ID: u32 = 2_000_000_000;
/// The id that the kernel itself uses for nobody, for where the others are not mapped.
const NOBODY: u32 = 65_534;

/// How it went for each of these layers.
pub(super) struct Place {
    pub(super) layers: [(Layer, Result<(), Cause>); 5],
}

/// Enters what can be entered.
pub(super) fn enter(granted: Granted<'_>) -> Place {
    let (dirs, network) = (granted.dirs, granted.nets.is_empty());
    let privileged = rustix::process::geteuid().is_root();
    // The way to this process's own maps, which outlives the host's root.
    let myself = rustix::fs::open("/proc/self", OFlags::PATH | OFlags::CLOEXEC, Mode::empty());
    let wanted = fault::layer(Layer::Namespaces).map_err(io::Error::other);
    let unshared = match (&wanted, privileged) {
        (Ok(()), true) => namespaces::unshare(Namespaces { user: false, network }),
        _ => Err(io::ErrorKind::Unsupported.into()),
    };
    let mut empty_root = unshared.is_ok().then(|| root::enter(dirs));
    let identity = if privileged && dirs.is_empty() { give_user_up() } else { Ok(()) };
    let namespaces = unshared.or_else(|_| {
        wanted?;
        own_user_namespace(&myself?, network)?;
        empty_root = Some(root::enter(dirs));
        Ok(())
    });
    let capabilities = drop_capabilities();
    let identity = match identity {
        Ok(()) if privileged && !dirs.is_empty() => {
            Err(Cause::Missing("the user is kept for the granted directories".to_owned()))
        }
        other => other.map_err(Cause::from),
    };
    let namespaces = namespaces.map_err(without_user_namespaces);
    let own_network = match &namespaces {
        Ok(()) if !network => {
            Err(Cause::Missing("the host's network is kept for the granted addresses".to_owned()))
        }
        other => other.clone(),
    };
    let no_namespace = || Err(Cause::Missing("it needs a mount namespace".to_owned()));
    Place {
        layers: [
            (Layer::Identity, identity),
            (Layer::Namespaces, namespaces),
            (Layer::Network, own_network),
            (Layer::EmptyRoot, empty_root.unwrap_or_else(no_namespace)),
            (Layer::Capabilities, capabilities.map_err(Cause::from)),
        ],
    }
}

/// Becomes a user whom nothing belongs to. Clears the parent-death signal.
fn give_user_up() -> io::Result<()> {
    rustix::thread::set_thread_groups(&[])?;
    let own = FIRST_ID + std::process::id() % 100_000_000;
    become_user(own).or_else(|_| become_user(NOBODY))
}

fn become_user(id: u32) -> io::Result<()> {
    let (group, user) = (Gid::from_raw(id), Uid::from_raw(id));
    rustix::thread::set_thread_res_gid(group, group, group)?;
    Ok(rustix::thread::set_thread_res_uid(user, user, user)?)
}

/// Namespaces in a user namespace in which the user is who it was.
fn own_user_namespace(myself: &OwnedFd, network: bool) -> io::Result<()> {
    let (user, group) = (rustix::process::geteuid(), rustix::process::getegid());
    // A process that is not dumpable may not write its own maps; it becomes undumpable later.
    rustix::process::set_dumpable_behavior(DumpableBehavior::Dumpable)?;
    namespaces::unshare(Namespaces { user: true, network })?;
    write(myself, "setgroups", "deny")?;
    write(myself, "gid_map", &format!("{0} {0} 1", group.as_raw()))?;
    write(myself, "uid_map", &format!("{0} {0} 1", user.as_raw()))
}

fn write(myself: &OwnedFd, name: &str, text: &str) -> io::Result<()> {
    let file = rustix::fs::openat(myself.as_fd(), name, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())?;
    rustix::io::write(&file, text.as_bytes())?;
    Ok(())
}

/// A limit of zero forbids user namespaces; any other one can be met for the time being.
fn without_user_namespaces(error: io::Error) -> Cause {
    match Cause::from(error) {
        Cause::Failed(_) if user_namespaces_max() == Some(0) => {
            Cause::Missing("user namespaces are turned off".to_owned())
        }
        cause => cause,
    }
}

fn user_namespaces_max() -> Option<u64> {
    std::fs::read_to_string("/proc/sys/user/max_user_namespaces").ok()?.trim().parse().ok()
}

/// Gives up every capability, and the way back to any.
fn drop_capabilities() -> io::Result<()> {
    for capability in CapabilitySet::all().iter() {
        // The kernel may know fewer, and only a privileged process may do this; none of the others can gain any.
        let _ = rustix::thread::remove_capability_from_bounding_set(capability);
    }
    let _ = rustix::thread::clear_ambient_capability_set();
    let none = CapabilitySets {
        effective: CapabilitySet::empty(),
        permitted: CapabilitySet::empty(),
        inheritable: CapabilitySet::empty(),
    };
    rustix::thread::set_capabilities(None, none)?;
    hardening::has_no_capability()?.then_some(()).ok_or_else(|| io::ErrorKind::PermissionDenied.into())
}
