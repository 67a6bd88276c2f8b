//! A Landlock rule set that handles everything the kernel knows and allows nothing of it but what was granted in
//! directories and on TCP ports. It knows ports and not addresses, and nothing of UDP.
//!
//! It cannot be widened later, not even by a second one, so a fork server serves one policy.

#![forbid(unsafe_code)]

use std::os::fd::OwnedFd;

use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible, NetPort, PathBeneath, Ruleset,
    RulesetAttr, RulesetCreatedAttr, RulesetError, RulesetStatus, Scope,
};

use rustix::fs::{Mode, OFlags};

use super::{Granted, root};
use crate::policy::{DirAccess, DirRule, NetAccess, NetRule};

/// The newest interface whose rights are asked for; an older kernel gives what it has.
const NEWEST: ABI = ABI::V6;

/// Denies opening files outside the granted directories, TCP ports that were not granted, and abstract sockets and signals beyond this
/// rule set's processes.
pub(super) fn enter(outside: Granted<'_>) -> Result<(), String> {
    // The directories of granted files, in a root of our own, are listed and no more.
    let homes: Vec<OwnedFd> = homes(outside.dirs).collect();
    let granted = outside.dirs.iter().zip(outside.descriptors).map(|(rule, opened)| {
        let rights = rights(rule.access);
        (opened, if rule.file.is_some() { rights & AccessFs::from_file(NEWEST) } else { rights })
    });
    let homes = homes.iter().map(|home| (home, BitFlags::from(AccessFs::ReadDir)));
    let rules = granted.chain(homes).map(|(fd, rights)| Ok::<_, RulesetError>(PathBeneath::new(fd, rights)));
    let restricted = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(NEWEST))
        .and_then(|rules| rules.handle_access(AccessNet::from_all(NEWEST)))
        .and_then(|rules| rules.scope(Scope::from_all(NEWEST)))
        .and_then(Ruleset::create)
        .and_then(|created| created.add_rules(rules))
        .and_then(|created| {
            created.add_rules(outside.nets.iter().filter_map(port).map(Ok::<_, RulesetError>))
        })
        .and_then(landlock::RulesetCreated::restrict_self)
        .map_err(|error| error.to_string())?;
    match restricted.ruleset {
        RulesetStatus::NotEnforced => Err("this kernel has no Landlock".to_owned()),
        RulesetStatus::FullyEnforced | RulesetStatus::PartiallyEnforced => Ok(()),
    }
}

/// The directories of granted files, where there is a root that has them.
fn homes(rules: &[DirRule]) -> impl Iterator<Item = OwnedFd> {
    let is_home = |index: &usize| rules[*index].file.is_some() && DirRule::begins_at(rules, *index) == *index;
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let open = move |index| rustix::fs::open(root::place(index), flags, Mode::empty()).ok();
    (0..rules.len()).filter(is_home).filter_map(open)
}

/// Port 0 is the one that the system chooses, for Landlock too.
fn port(rule: &NetRule) -> Option<NetPort> {
    match rule.access {
        NetAccess::TcpConnect => Some(NetPort::new(rule.port, AccessNet::ConnectTcp)),
        NetAccess::TcpListen => Some(NetPort::new(rule.port, AccessNet::BindTcp)),
        NetAccess::Udp => None,
    }
}

/// Nothing in a granted directory is executed, and nothing that is no file, directory or link is made.
fn rights(access: DirAccess) -> BitFlags<AccessFs> {
    match access {
        DirAccess::ReadOnly => AccessFs::ReadFile | AccessFs::ReadDir,
        DirAccess::ReadWrite => {
            AccessFs::from_all(NEWEST)
                & !(AccessFs::Execute
                    | AccessFs::MakeChar
                    | AccessFs::MakeBlock
                    | AccessFs::MakeSock
                    | AccessFs::MakeFifo
                    | AccessFs::IoctlDev)
        }
    }
}
