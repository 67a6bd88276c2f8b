//! The system-call filter: an allow-list, made from the tables in [`rules`](super::rules).
//!
//! A call that is not in the list is answered `EPERM`, and `clone3` with `ENOSYS`, because a filter
//! cannot look into its arguments and the C library then falls back to `clone`. The fork server's
//! `clone` is allowed with exactly the flags of [`fork`](crate::os::fork) *and* its key: workers
//! inherit the filter and not the key, so they cannot fork, at no cost in the worker.
//!
//! seccompiler knows one action for what does not match and copies its rules about. So the program is
//! made with placeholders, which are replaced afterwards: the key is nowhere but in the program that
//! is handed to the kernel, and that is wiped.

#![forbid(unsafe_code)]

use std::collections::BTreeMap;

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    sock_filter,
};

use super::rules::{COMPILE, EVERY_PROCESS, FORK_SERVER, READ_DIRS, Rule, WORKER, WRITE_DIRS, When};
use super::{Granted, Profile, net_rules};
use crate::os::fork::{FORK_FLAGS, FORK_KEY_ARGUMENT, ForkKey};
use crate::policy::{DirAccess, NetAccess};

type Rules = BTreeMap<i64, Vec<SeccompRule>>;

/// Stands for the fork key until it is put in; its halves occur nowhere else.
const KEY_PLACEHOLDER: u64 = 0x5ec0_feed_5ec1_beef;
const EPERM: SeccompAction = SeccompAction::Errno(libc::EPERM as u32);

/// Installs the filter of a profile. `has_root`: the host's paths are out of reach already.
pub(super) fn enter(profile: &Profile<'_>, has_root: bool) -> Result<(), String> {
    let mut rules = table(EVERY_PROCESS)?;
    match profile {
        Profile::Run(key, granted) => {
            for part in worker_tables(*granted) {
                merge(&mut rules, table(part)?);
            }
            if granted.dir_access() == Some(DirAccess::ReadWrite) && !has_root {
                // Landlock lets anybody set the times of any file by its path. Of an open file they can be set.
                let no_path = all_of([equal(1, SeccompCmpArgLen::Qword, 0)?])?;
                rules.insert(libc::SYS_utimensat, vec![no_path]);
            }
            if key.is_some() {
                merge(&mut rules, BTreeMap::from([(libc::SYS_clone, vec![fork_rule()?])]));
            }
        }
        Profile::Compile(_) => {
            merge(&mut rules, table(COMPILE)?);
            merge(&mut rules, BTreeMap::from([(libc::SYS_tgkill, vec![abort_rule()?])]));
        }
    }
    // An entry of its own, whose answer is changed below.
    rules.insert(libc::SYS_clone3, Vec::new());
    let mut program = compile(rules, EPERM, SeccompAction::Allow)?;
    answer_enosys(&mut program, libc::SYS_clone3)?;
    if let Profile::Run(Some(key), _) = profile {
        put_key(&mut program, key)?;
    }
    let installed = seccompiler::apply_filter(&program).map_err(|error| error.to_string());
    for instruction in &mut program {
        instruction.k = 0;
    }
    // Keeps the wiping from being optimised away.
    std::hint::black_box(&program);
    installed
}

/// Forbids to make memory executable, and to install more filters. For the time after the artifact is
/// loaded: a guest that breaks out cannot bring code of its own.
pub(crate) fn freeze_code() -> Result<(), String> {
    let executable = |call| {
        let bit = libc::PROT_EXEC as u64;
        let condition = SeccompCondition::new(2, SeccompCmpArgLen::Dword, SeccompCmpOp::MaskedEq(bit), bit)
            .map_err(text)?;
        Ok::<_, String>((call, vec![all_of([condition])?]))
    };
    let mut rules = Rules::from([executable(libc::SYS_mmap)?, executable(libc::SYS_mprotect)?]);
    rules.insert(libc::SYS_seccomp, Vec::new());
    let program = compile(rules, SeccompAction::Allow, EPERM)?;
    seccompiler::apply_filter(&program).map_err(text)
}

/// The tables for a worker that was granted this, and for its fork server.
fn worker_tables(granted: Granted<'_>) -> Vec<&'static [Rule]> {
    let mut tables = vec![WORKER, FORK_SERVER];
    if granted.dir_access().is_some() {
        tables.push(READ_DIRS);
    }
    if granted.dir_access() == Some(DirAccess::ReadWrite) {
        tables.push(WRITE_DIRS);
    }
    let [connect, listen, udp] =
        [NetAccess::TcpConnect, NetAccess::TcpListen, NetAccess::Udp].map(|access| granted.has_net(access));
    if !granted.nets.is_empty() {
        tables.push(net_rules::ANY);
    }
    if connect || listen {
        tables.push(net_rules::TCP);
    }
    if connect || udp {
        tables.push(net_rules::CONNECT);
    }
    if listen || udp {
        tables.push(net_rules::BIND);
    }
    if listen {
        tables.push(net_rules::LISTEN);
    }
    if udp {
        tables.push(net_rules::UDP);
    }
    tables
}

fn table(rows: &[Rule]) -> Result<Rules, String> {
    let mut rules = Rules::new();
    for row in rows {
        let chain = rules.entry(row.call).or_default();
        match row.when {
            When::Always => {}
            When::Argument(index, values) => {
                for value in values {
                    chain.push(all_of([equal(index, SeccompCmpArgLen::Qword, *value)?])?);
                }
            }
            When::All(arguments) => {
                let conditions = arguments
                    .iter()
                    .map(|(index, value)| equal(*index, SeccompCmpArgLen::Qword, *value))
                    .collect::<Result<Vec<_>, _>>()?;
                chain.push(SeccompRule::new(conditions).map_err(text)?);
            }
            When::FirstAndThird(first, third) => {
                // The kernel looks at the lower half of an `int`, and what the upper one holds is not fixed.
                let first = equal(0, SeccompCmpArgLen::Dword, u64::from(first.cast_unsigned()))?;
                chain.push(all_of([first, equal(2, SeccompCmpArgLen::Dword, third)?])?);
            }
            When::Bits { of, set } => {
                let bits = SeccompCmpOp::MaskedEq(of);
                let condition = SeccompCondition::new(2, SeccompCmpArgLen::Dword, bits, set).map_err(text)?;
                chain.push(all_of([condition])?);
            }
        }
    }
    Ok(rules)
}

fn equal(argument: u8, length: SeccompCmpArgLen, value: u64) -> Result<SeccompCondition, String> {
    SeccompCondition::new(argument, length, SeccompCmpOp::Eq, value).map_err(text)
}

fn all_of<const N: usize>(conditions: [SeccompCondition; N]) -> Result<SeccompRule, String> {
    SeccompRule::new(conditions.into()).map_err(text)
}

/// Adds rules; a call that has some already is allowed in either case.
fn merge(rules: &mut Rules, others: Rules) {
    for (call, mut chain) in others {
        rules.entry(call).or_default().append(&mut chain);
    }
}

/// A compiler that is out of memory aborts: a signal to a thread of its own, by which the supervisor knows it.
fn abort_rule() -> Result<SeccompRule, String> {
    let own = equal(0, SeccompCmpArgLen::Dword, u64::from(std::process::id()))?;
    all_of([own, equal(2, SeccompCmpArgLen::Dword, u64::from(libc::SIGABRT.cast_unsigned()))?])
}

fn fork_rule() -> Result<SeccompRule, String> {
    let flags = equal(0, SeccompCmpArgLen::Qword, FORK_FLAGS)?;
    all_of([flags, equal(FORK_KEY_ARGUMENT, SeccompCmpArgLen::Qword, KEY_PLACEHOLDER)?])
}

fn compile(rules: Rules, otherwise: SeccompAction, matching: SeccompAction) -> Result<BpfProgram, String> {
    let arch = std::env::consts::ARCH.try_into().map_err(text)?;
    SeccompFilter::new(rules, otherwise, matching, arch).map_err(text)?.try_into().map_err(text)
}

/// The instruction "jump if equal to a constant".
const JUMP_IF_EQUAL: u16 = 0x15;
/// The instruction "return a constant".
const RETURN: u16 = 0x06;

fn answer_enosys(program: &mut [sock_filter], call: i64) -> Result<(), String> {
    let number = u32::try_from(call).map_err(text)?;
    let enosys = u32::from(SeccompAction::Errno(libc::ENOSYS.cast_unsigned()));
    let allow = u32::from(SeccompAction::Allow);
    let after = program.iter().position(|step| step.code == JUMP_IF_EQUAL && step.k == number);
    let answer =
        after.and_then(|at| program[at..].iter_mut().find(|step| step.code == RETURN && step.k == allow));
    answer.ok_or("the filter's program has another shape than expected")?.k = enosys;
    Ok(())
}

fn put_key(program: &mut [sock_filter], key: &ForkKey) -> Result<(), String> {
    for shift in [0, 32] {
        let half = |value: u64| (value >> shift) as u32;
        let mut places =
            program.iter_mut().filter(|step| step.code == JUMP_IF_EQUAL && step.k == half(KEY_PLACEHOLDER));
        let (Some(place), None) = (places.next(), places.next()) else {
            return Err("the filter's program has another shape than expected".to_owned());
        };
        place.k = half(key.value());
    }
    Ok(())
}

fn text(error: impl ToString) -> String {
    error.to_string()
}
