//! The cgroup of a pool: one wall around all of its processes, behind the limits of each task.
//!
//! Made with the pool, where one can be made; held by the pool and by every process that is in it; removed with the
//! last of them. The name says who made it (number and start of the supervisor's process), so that one whose maker
//! was killed is removed by the next supervisor.
//!
//! The kernel ends processes of a group that is out of memory with the same SIGKILL that anybody may send. It counts
//! them, though, and each that it counted explains one death.

#![forbid(unsafe_code)]

use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use crate::limits::{POOL_MEMORY_PERCENT, POOL_PROCESSES_BESIDE};
use crate::os::cgroup::{self, Group, GroupError, GroupLimits, Site};
use crate::policy::SandboxMode;

const PREFIX: &str = "wasmpool-";

/// What a pool's processes may use together, as far as somebody has said it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct PoolLimits {
    pub(super) memory_bytes_max: Option<u64>,
    pub(super) cpus_max: Option<f64>,
}

impl PoolLimits {
    fn is_asked(&self) -> bool {
        self.memory_bytes_max.is_some() || self.cpus_max.is_some()
    }

    fn of_group(&self, site: &Site, workers: usize) -> GroupLimits {
        let share = || site.memory_bytes() / 100 * POOL_MEMORY_PERCENT;
        GroupLimits {
            memory_bytes: self.memory_bytes_max.unwrap_or_else(share),
            processes: processes_max(workers),
            cpus: self.cpus_max,
        }
    }
}

/// Running and idle workers, those that gave their place back, and fork servers, with room for those that are on
/// their way out. Without a limit when nobody knows how many workers there will be.
fn processes_max(workers: usize) -> Option<u64> {
    let workers = u64::try_from(workers.checked_mul(2)?).ok()?;
    workers.checked_add(POOL_PROCESSES_BESIDE).filter(|processes| *processes < u64::from(u32::MAX))
}

/// Where this process stands. It is looked up once, and what killed supervisors left is swept then; the groups of a
/// process that is moved later stay below the old one.
fn site() -> &'static Result<Site, GroupError> {
    static SITE: OnceLock<Result<Site, GroupError>> = OnceLock::new();
    SITE.get_or_init(|| {
        let site = Site::find()?;
        let namespace = cgroup::pid_namespace();
        site.sweep(|name| is_abandoned(name, namespace, cgroup::started_at));
        Ok(site)
    })
}

/// Memory that this program may use, in bytes: what the machine has, or the least limit of the cgroups that it runs in.
#[must_use]
pub fn memory_bytes() -> u64 {
    cgroup::memory_bytes()
}

/// The cgroup of one pool.
#[derive(Debug)]
pub(super) struct PoolGroup {
    group: Group,
    limits: GroupLimits,
    kills: Mutex<Kills>,
}

impl PoolGroup {
    fn make(limits: &PoolLimits, workers: usize) -> Result<Self, Absent> {
        let site = site().as_ref().map_err(Absent::of)?;
        let limits = limits.of_group(site, workers);
        let group = Group::make(site, &new_name(), &limits).map_err(|error| Absent::of(&error))?;
        Ok(Self { group, limits, kills: Mutex::default() })
    }

    /// What a process goes in by.
    pub(super) fn doors(&self) -> std::io::Result<Vec<OwnedFd>> {
        self.group.doors()
    }

    /// Whether a process is in it.
    pub(super) fn holds(&self, pid: u32) -> bool {
        self.group.holds(pid)
    }

    /// A process of the group was killed by a signal that we did not send. What there is to say when that was the
    /// kernel, for memory.
    pub(super) fn explain_kill(&self) -> Option<String> {
        let counted = self.group.memory_kills();
        let mut kills = self.kills.lock().unwrap_or_else(PoisonError::into_inner);
        if !kills.explain(counted, Instant::now()) {
            return None;
        }
        let limit = in_words(self.limits.memory_bytes);
        Some(format!("killed by the kernel: the processes of its pool may use {limit} together"))
    }

    /// A process of the group died of a SIGKILL that we sent. The kernel may have been faster.
    pub(super) fn note_own_kill(&self) {
        let counted = self.group.memory_kills();
        self.kills.lock().unwrap_or_else(PoisonError::into_inner).note_own(counted, Instant::now());
    }

    /// Room for the processes of another number of workers.
    pub(super) fn resize(&self, workers: usize) {
        let limits = GroupLimits { processes: processes_max(workers), ..self.limits };
        if let Err(error) = self.group.set(&limits) {
            tracing::warn!(%error, "a cgroup keeps its old limit");
        }
    }
}

/// How long a death that the kernel has counted may be unknown here. Deaths are told within milliseconds.
const UNTOLD_TIME_MAX: Duration = Duration::from_secs(1);

/// The kernel's kills for memory in one group. Pure.
#[derive(Debug, Default)]
struct Kills {
    /// So many of them have explained a death.
    explained: u64,
    /// So many were counted when one died whom we had killed too, and when that was: the last of them may have been that
    /// one's, or another's whose death is not told yet.
    unclear: Option<(u64, Instant)>,
}

impl Kills {
    /// Whether one of `counted` kills is left for a death by somebody else's SIGKILL; it is used up then.
    fn explain(&mut self, counted: u64, now: Instant) -> bool {
        if let Some((until, since)) = self.unclear
            && now.saturating_duration_since(since) > UNTOLD_TIME_MAX
        {
            self.explained = self.explained.max(until);
            self.unclear = None;
        }
        let is_left = counted > self.explained;
        self.explained += u64::from(is_left);
        is_left
    }

    fn note_own(&mut self, counted: u64, now: Instant) {
        if counted > self.explained && self.unclear.is_none_or(|(until, _)| until < counted) {
            self.unclear = Some((counted, now));
        }
    }
}

/// Why a pool has no group.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Absent {
    cause: String,
    /// None can be had here at all.
    is_missing: bool,
}

impl Absent {
    fn of(error: &GroupError) -> Self {
        Self { cause: error.to_string(), is_missing: error.is_missing() }
    }
}

/// The wall around a pool, if it has one.
#[derive(Clone, Debug)]
pub(super) struct Enclosure {
    group: Result<Arc<PoolGroup>, Absent>,
    /// Somebody has set limits, which hold with and without a sandbox.
    is_asked: bool,
}

impl Enclosure {
    /// Makes a group for a pool of this many workers, if one can be had. It takes about 0.2 ms.
    pub(super) fn make(limits: &PoolLimits, workers: usize) -> Self {
        let group = PoolGroup::make(limits, workers).map(Arc::new);
        Self { group, is_asked: limits.is_asked() }
    }

    /// The group in which tasks of this mode run.
    ///
    /// # Errors
    ///
    /// Why there is none, where there must be one: somebody has set limits, or this machine can give one and did not.
    pub(super) fn for_mode(&self, mode: SandboxMode) -> Result<Option<Arc<PoolGroup>>, String> {
        if mode == SandboxMode::Off && !self.is_asked {
            return Ok(None);
        }
        match &self.group {
            Ok(group) => Ok(Some(Arc::clone(group))),
            Err(absent) if mode != SandboxMode::BestEffort && (self.is_asked || !absent.is_missing) => {
                Err(absent.cause.clone())
            }
            Err(_) => Ok(None),
        }
    }

    /// Room for the processes of another number of workers.
    pub(super) fn resize(&self, workers: usize) {
        if let Ok(group) = &self.group {
            group.resize(workers);
        }
    }
}

/// Why this process can make no group, for the doctor: makes one.
pub(super) fn examine() -> Result<(), String> {
    let group = PoolGroup::make(&PoolLimits::default(), 1).map_err(|absent| absent.cause)?;
    group.doors().map(drop).map_err(|error| error.to_string())
}

/// `wasmpool-NAMESPACE-PID-START-N`: whose it is, and which of theirs.
fn new_name() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let pid = std::process::id();
    let namespace = cgroup::pid_namespace().unwrap_or(0);
    let (start, n) = (cgroup::started_at(pid).unwrap_or(0), NEXT.fetch_add(1, Ordering::Relaxed));
    format!("{PREFIX}{namespace}-{pid}-{start}-{n}")
}

/// Whether the process that made a group of this name has ended. Numbers of another namespace say nothing here.
fn is_abandoned(name: &str, namespace: Option<u64>, started_at: impl Fn(u32) -> Option<u64>) -> bool {
    let Some(numbers) = name.strip_prefix(PREFIX) else { return false };
    let numbers: Result<Vec<u64>, _> = numbers.split('-').map(str::parse).collect();
    let Ok([of, pid, start, _]) = numbers.as_deref() else { return false };
    let Ok(pid) = u32::try_from(*pid) else { return false };
    namespace == Some(*of) && started_at(pid) != Some(*start)
}

/// Bytes as they were written on the command line.
fn in_words(bytes: u64) -> String {
    match bytes {
        0..1024 => format!("{bytes} bytes"),
        1024..1_048_576 => format!("{} KiB", bytes >> 10),
        _ => format!("{} MiB", bytes >> 20),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_is_abandoned_when_its_very_maker_has_ended() {
        let started = |pid| (pid == 17).then_some(4711);
        for (name, expected) in [
            ("wasmpool-1-17-4711-1", false),
            ("wasmpool-1-17-4712-1", true),
            ("wasmpool-1-18-4711-1", true),
            ("wasmpool-2-18-4711-1", false),
            ("wasmpool-1-18-4711", false),
            ("wasmpool-1-18-4711-1-1", false),
            ("wasmpool-1-18-4711-x", false),
            ("wasmpool-1-99999999999-4711-1", false),
            ("other-1-18-4711-1", false),
        ] {
            assert_eq!(is_abandoned(name, Some(1), started), expected, "{name}");
        }
        assert!(!is_abandoned("wasmpool-1-18-4711-1", None, started));
        let own = new_name();
        assert!(!is_abandoned(&own, cgroup::pid_namespace(), cgroup::started_at), "{own}");
        assert_ne!(own, new_name());
    }

    #[test]
    fn a_kill_that_was_ours_too_explains_no_later_death() {
        let (begin, soon) = (Instant::now(), Duration::from_millis(5));
        let later = begin + 2 * UNTOLD_TIME_MAX;
        let mut kills = Kills::default();
        assert!(!kills.explain(0, begin));
        // The kernel killed two, and we one of them.
        kills.note_own(2, begin);
        assert!(kills.explain(2, begin + soon));
        assert!(!kills.explain(2, later));
        assert!(kills.explain(3, later) && !kills.explain(3, later));
        // One of ours that the kernel had no part in.
        kills.note_own(3, later);
        assert!(kills.explain(4, later + soon));
    }

    #[test]
    fn a_group_is_needed_where_it_can_be_had_or_was_asked_for() {
        use SandboxMode::{BestEffort, Off, Required};
        for (is_missing, is_asked, mode, refused) in [
            (true, false, Required, false),
            (true, true, Required, true),
            (true, true, Off, true),
            (true, true, BestEffort, false),
            (false, false, Required, true),
            (false, false, Off, false),
            (false, false, BestEffort, false),
            (false, true, BestEffort, false),
        ] {
            let absent = Absent { cause: "cause".to_owned(), is_missing };
            let enclosure = Enclosure { group: Err(absent), is_asked };
            let refusal = enclosure.for_mode(mode).map(|group| group.is_some());
            let expected = if refused { Err("cause".to_owned()) } else { Ok(false) };
            assert_eq!(refusal, expected, "missing: {is_missing}, asked: {is_asked}, {mode:?}");
        }
    }

    #[test]
    fn without_a_sandbox_only_limits_that_were_asked_for_hold() {
        let asked = PoolLimits { memory_bytes_max: Some(1 << 30), cpus_max: None };
        for (limits, mode, expected) in [
            (PoolLimits::default(), SandboxMode::Required, true),
            (PoolLimits::default(), SandboxMode::Off, false),
            (asked, SandboxMode::Off, true),
        ] {
            let enclosure = Enclosure::make(&limits, 2);
            if enclosure.group.is_ok() {
                let group = enclosure.for_mode(mode).expect("there is one");
                assert_eq!(group.is_some(), expected, "{limits:?} {mode:?}");
                continue;
            }
            // What the doctor says where none can be made.
            assert_eq!(examine().is_err(), enclosure.group.is_err_and(|absent| absent.is_missing));
        }
    }

    #[test]
    fn the_default_is_a_share_of_what_there_is() {
        let Ok(site) = site() else { return };
        let limits = PoolLimits::default().of_group(site, 4);
        assert_eq!(limits.memory_bytes, site.memory_bytes() / 100 * 80);
        assert_eq!(limits.processes, Some(8 + POOL_PROCESSES_BESIDE));
        assert_eq!(PoolLimits::default().of_group(site, usize::MAX).processes, None);
    }

    #[test]
    fn sizes_are_written_with_a_unit() {
        assert_eq!(
            [in_words(100), in_words(65_536), in_words(128 << 20)],
            ["100 bytes", "64 KiB", "128 MiB"]
        );
    }
}
