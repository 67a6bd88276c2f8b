//! Control groups of either version: finding the own one, and making groups below it.
//!
//! Version 2 is one tree, in which a controller limits a group only if the group above has delegated it
//! (`cgroup.subtree_control`), which the kernel refuses to a group that has processes itself, unless it is the
//! root. Version 1 is a tree for each controller, without that rule. This process itself is never moved.
//!
//! The one hard fact behind [`Group::doors`]: to move *another* process, or a whole process of several threads, the
//! kernel stops every fork and exit of the machine and waits for a grace period, which takes 6 to 19 ms. A thread of
//! version 1 that moves itself needs none of that (35 us). So processes are not moved into a group: they are handed
//! its doors and go in by themselves, and what they fork is in it.

#![forbid(unsafe_code)]

mod place;

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long groups may be busy with processes that have ended, all that go together, and how often to look.
const LEAVE_TIME_MAX: Duration = Duration::from_millis(50);
const LEAVE_LOOK_TIME: Duration = Duration::from_micros(100);

/// Which of the kernel's two interfaces a hierarchy has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Version {
    One,
    Two,
}

/// What a hierarchy limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Controller {
    Memory,
    Processes,
    Cpu,
}

impl Controller {
    const ALL: [Self; 3] = [Self::Memory, Self::Processes, Self::Cpu];

    /// The kernel's name.
    fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Processes => "pids",
            Self::Cpu => "cpu",
        }
    }
}

/// A folder of a hierarchy, and which of its controllers count.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Folder {
    version: Version,
    path: PathBuf,
    controllers: Vec<Controller>,
}

/// What the processes of a group may use together.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct GroupLimits {
    /// Memory in bytes. Swap does not add to it.
    pub(crate) memory_bytes: u64,
    /// Processes and threads in number.
    pub(crate) processes: Option<u64>,
    /// CPUs, as a share of time: 1.5 is one and a half.
    pub(crate) cpus: Option<f64>,
}

/// Why there is no group.
#[derive(Debug, thiserror::Error)]
pub(crate) enum GroupError {
    #[error("the group of this process that limits memory is not mounted")]
    NotMounted,
    #[error("no controller is delegated to this group ({})", .0.display())]
    NotDelegated(PathBuf),
    #[error("no group can be made in `{}`: {cause}", folder.display())]
    NotMade { folder: PathBuf, cause: io::Error },
    #[error("the controller `{}` is not there", .0.name())]
    NoController(Controller),
    #[error("`{}` cannot be set: {cause}", file.display())]
    NotSet { file: PathBuf, cause: io::Error },
}

impl GroupError {
    /// Whether no group can be had here at all, as opposed to one that failed.
    pub(crate) fn is_missing(&self) -> bool {
        match self {
            Self::NotMounted | Self::NotDelegated(_) | Self::NoController(_) => true,
            Self::NotMade { cause, .. } => is_refusal(cause),
            Self::NotSet { .. } => false,
        }
    }
}

/// Somebody else's group, a read-only mount, or one that was taken away under us.
fn is_refusal(error: &io::Error) -> bool {
    use io::ErrorKind::{NotFound, PermissionDenied, ReadOnlyFilesystem};
    matches!(error.kind(), NotFound | PermissionDenied | ReadOnlyFilesystem)
}

/// Where this process stands, and so where its groups can be made.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Site {
    folders: Vec<Folder>,
}

impl Site {
    /// Looks where this process is.
    ///
    /// # Errors
    ///
    /// When there is nothing below which memory could be limited.
    pub(crate) fn find() -> Result<Self, GroupError> {
        let text = |path: &str| fs::read_to_string(path).unwrap_or_default();
        Self::read(&text("/proc/self/cgroup"), &text("/proc/self/mountinfo"))
    }

    fn read(membership: &str, mounts: &str) -> Result<Self, GroupError> {
        let unified = place::version_two(membership, mounts);
        let mut site = Self { folders: Vec::new() };
        for controller in Controller::ALL {
            let delegated = unified.as_ref().filter(|folder| delegates(folder, controller));
            if let Some(folder) = delegated {
                site.add(Version::Two, folder.clone(), controller);
            } else if let Some(folder) = place::version_one(controller.name(), membership, mounts) {
                site.add(Version::One, folder, controller);
            }
        }
        match (site.folder(Controller::Memory), unified) {
            (Some(_), _) => Ok(site),
            (None, Some(own)) => Err(GroupError::NotDelegated(own)),
            (None, None) => Err(GroupError::NotMounted),
        }
    }

    fn add(&mut self, version: Version, path: PathBuf, controller: Controller) {
        match self.folders.iter_mut().find(|folder| folder.path == path) {
            Some(folder) => folder.controllers.push(controller),
            None => self.folders.push(Folder { version, path, controllers: vec![controller] }),
        }
    }

    fn folder(&self, controller: Controller) -> Option<&Folder> {
        self.folders.iter().find(|folder| folder.controllers.contains(&controller))
    }

    /// What this process and everything below it may use, in bytes: the least of what its groups and the machine
    /// have.
    pub(crate) fn memory_bytes(&self) -> u64 {
        let of_groups = self.folder(Controller::Memory).and_then(Folder::memory_bytes_max);
        of_groups.map_or_else(machine_bytes, |bytes| bytes.min(machine_bytes()))
    }

    /// Removes the groups of these names, as far as nothing is in them.
    pub(crate) fn sweep(&self, is_abandoned: impl Fn(&str) -> bool) {
        let until = Instant::now() + LEAVE_TIME_MAX;
        for folder in &self.folders {
            let Ok(entries) = fs::read_dir(&folder.path) else { continue };
            for entry in entries.filter_map(Result::ok) {
                if entry.file_name().to_str().is_some_and(&is_abandoned) {
                    // One with processes is refused, and is left to whoever looks later.
                    let _ = remove(&entry.path(), until);
                }
            }
        }
    }
}

/// Memory that this process and everything below it may use, in bytes: the least of what its groups and the machine have,
/// whether or not groups of its own can be made.
pub(crate) fn memory_bytes() -> u64 {
    let text = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let (membership, mounts) = (text("/proc/self/cgroup"), text("/proc/self/mountinfo"));
    let memory = Controller::Memory;
    let one = place::version_one(memory.name(), &membership, &mounts).map(|path| (Version::One, path));
    let two = place::version_two(&membership, &mounts).map(|path| (Version::Two, path));
    let folders = one.into_iter().chain(two);
    let folders = folders.map(|(version, path)| Folder { version, path, controllers: vec![memory] });
    let of_groups = folders.filter_map(|folder| folder.memory_bytes_max()).min();
    of_groups.map_or_else(machine_bytes, |bytes| bytes.min(machine_bytes()))
}

fn machine_bytes() -> u64 {
    let machine = rustix::system::sysinfo();
    // The kernel has words of the size of a pointer here.
    (machine.totalram as u64).saturating_mul(u64::from(machine.mem_unit.max(1)))
}

/// Whether groups below this one of version 2 are limited by the controller. The root, which may have processes
/// all the same, is asked to; elsewhere asking is refused and changes nothing.
fn delegates(folder: &Path, controller: Controller) -> bool {
    let lists = |file: &str| {
        let listed = fs::read_to_string(folder.join(file)).unwrap_or_default();
        listed.split_whitespace().any(|name| name == controller.name())
    };
    let control = "cgroup.subtree_control";
    lists("cgroup.controllers")
        && (lists(control) || write(&folder.join(control), &format!("+{}", controller.name())).is_ok())
}

impl Folder {
    /// The least limit of this group and those above it.
    fn memory_bytes_max(&self) -> Option<u64> {
        match self.version {
            Version::One => counter(&self.path.join("memory.stat"), "hierarchical_memory_limit"),
            Version::Two => {
                let limit = |path: &Path| fs::read_to_string(path.join("memory.max")).ok();
                // Without a limit it says `max`, and the root of the tree has no such file.
                self.path.ancestors().map_while(limit).filter_map(|text| text.trim().parse().ok()).min()
            }
        }
    }

    /// The files that set these limits, each with what is written; `true`: it is an error when the file is not there.
    fn settings(&self, controller: Controller, limits: &GroupLimits) -> Vec<(&'static str, String, bool)> {
        let memory = limits.memory_bytes.to_string();
        match (controller, self.version) {
            // Where swap is accounted for, a limit on memory alone would only make it swap.
            (Controller::Memory, Version::One) => vec![
                ("memory.limit_in_bytes", memory.clone(), true),
                ("memory.memsw.limit_in_bytes", memory, false),
            ],
            (Controller::Memory, Version::Two) => {
                vec![("memory.max", memory, true), ("memory.swap.max", "0".to_owned(), false)]
            }
            (Controller::Processes, _) => {
                let processes = limits.processes.map(|number| ("pids.max", number.to_string(), true));
                processes.into_iter().collect()
            }
            (Controller::Cpu, version) => {
                let quota =
                    limits.cpus.map(|cpus| ((cpus * CPU_PERIOD_US).round() as u64).max(CPU_QUOTA_US_MIN));
                let setting = quota.map(|quota| match version {
                    Version::One => ("cpu.cfs_quota_us", quota.to_string(), true),
                    Version::Two => ("cpu.max", format!("{quota} {CPU_PERIOD_US}"), true),
                });
                setting.into_iter().collect()
            }
        }
    }

    fn set(&self, controller: Controller, limits: &GroupLimits) -> Result<(), GroupError> {
        for (file, value, is_needed) in self.settings(controller, limits) {
            let file = self.path.join(file);
            match write(&file, &value) {
                Err(cause) if cause.kind() == io::ErrorKind::NotFound && !is_needed => {}
                Err(cause) => return Err(GroupError::NotSet { file, cause }),
                Ok(()) => {}
            }
        }
        Ok(())
    }
}

/// The kernel's period for quotas of CPU time.
const CPU_PERIOD_US: f64 = 100_000.0;
/// The kernel's least quota.
const CPU_QUOTA_US_MIN: u64 = 1_000;

/// A group. Dropping it removes it; whatever was in it must have been reaped.
#[derive(Debug)]
pub(crate) struct Group {
    folders: Vec<Folder>,
}

impl Group {
    /// Makes a group of this name below the own one, in every hierarchy that limits something.
    ///
    /// # Errors
    ///
    /// When its memory, or something else that was asked for, cannot be limited; then nothing is left. Where only the
    /// number of processes cannot be limited, the group goes without.
    pub(crate) fn make(site: &Site, name: &str, limits: &GroupLimits) -> Result<Self, GroupError> {
        let mut group = Self { folders: Vec::new() };
        for parent in &site.folders {
            let wanted = |controller: &Controller| match controller {
                Controller::Memory => true,
                Controller::Processes => limits.processes.is_some(),
                Controller::Cpu => limits.cpus.is_some(),
            };
            let controllers: Vec<_> = parent.controllers.iter().copied().filter(wanted).collect();
            if controllers.is_empty() {
                continue;
            }
            let path = parent.path.join(name);
            match fs::create_dir(&path) {
                Ok(()) => group.folders.push(Folder { version: parent.version, path, controllers }),
                Err(cause) if controllers == [Controller::Processes] && is_refusal(&cause) => {}
                Err(cause) => return Err(GroupError::NotMade { folder: parent.path.clone(), cause }),
            }
        }
        group.set(limits)?;
        let has_cpu = group.folders.iter().any(|folder| folder.controllers.contains(&Controller::Cpu));
        if limits.cpus.is_some() && !has_cpu {
            return Err(GroupError::NoController(Controller::Cpu));
        }
        Ok(group)
    }

    /// Sets other limits.
    ///
    /// # Errors
    ///
    /// The first one that cannot be set.
    pub(crate) fn set(&self, limits: &GroupLimits) -> Result<(), GroupError> {
        for folder in &self.folders {
            for controller in &folder.controllers {
                folder.set(*controller, limits)?;
            }
        }
        Ok(())
    }

    /// What a process of one thread goes into the group by, with [`enter`].
    ///
    /// # Errors
    ///
    /// When a door cannot be opened.
    pub(crate) fn doors(&self) -> io::Result<Vec<OwnedFd>> {
        let door = |folder: &Folder| {
            let file = match folder.version {
                Version::One => "tasks",
                Version::Two => "cgroup.procs",
            };
            Ok(OpenOptions::new().write(true).open(folder.path.join(file))?.into())
        };
        self.folders.iter().map(door).collect()
    }

    /// Whether a process is in it, in every hierarchy.
    pub(crate) fn holds(&self, pid: u32) -> bool {
        let listed = |folder: &Folder| {
            let pids = fs::read_to_string(folder.path.join("cgroup.procs")).unwrap_or_default();
            pids.lines().any(|line| line.parse() == Ok(pid))
        };
        self.folders.iter().all(listed)
    }

    /// How many of its processes the kernel has killed for memory. A kill is counted before it is done.
    pub(crate) fn memory_kills(&self) -> u64 {
        let memory = self.folders.iter().find(|folder| folder.controllers.contains(&Controller::Memory));
        let file = memory.map(|folder| match folder.version {
            Version::One => folder.path.join("memory.oom_control"),
            Version::Two => folder.path.join("memory.events"),
        });
        file.and_then(|file| counter(&file, "oom_kill")).unwrap_or(0)
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let until = Instant::now() + LEAVE_TIME_MAX;
        for folder in &self.folders {
            if let Err(error) = remove(&folder.path, until) {
                tracing::warn!(folder = %folder.path.display(), %error, "a cgroup is left");
            }
        }
    }
}

/// Removes a group whose last process has ended. A process is in its group until a CPU has left it for the last time,
/// which may be some moments after it was reaped, and nothing tells when.
fn remove(folder: &Path, until: Instant) -> io::Result<()> {
    loop {
        match fs::remove_dir(folder) {
            Err(error) if error.kind() == io::ErrorKind::ResourceBusy && Instant::now() < until => {
                std::thread::sleep(LEAVE_LOOK_TIME);
            }
            other => return other,
        }
    }
}

/// Goes through a door into its group. The process must have one thread.
///
/// # Errors
///
/// The kernel's.
#[cfg(feature = "worker")]
pub(crate) fn enter(door: OwnedFd) -> io::Result<()> {
    // Nought is whoever writes.
    File::from(door).write_all(b"0")
}

/// When a process was started, in the kernel's ticks since it was booted: with its number, this names it.
pub(crate) fn started_at(pid: u32) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The second field is the program's name in brackets, and may contain anything.
    text.rsplit_once(") ")?.1.split(' ').nth(19)?.parse().ok()
}

/// Names the namespace in which this process's numbers mean what they mean.
pub(crate) fn pid_namespace() -> Option<u64> {
    let link = fs::read_link("/proc/self/ns/pid").ok()?;
    link.to_str()?.strip_prefix("pid:[")?.strip_suffix(']')?.parse().ok()
}

fn write(file: &Path, text: &str) -> io::Result<()> {
    OpenOptions::new().write(true).open(file)?.write_all(text.as_bytes())
}

/// A line `name value` of a file of the kernel.
fn counter(file: &Path, name: &str) -> Option<u64> {
    let text = fs::read_to_string(file).ok()?;
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    value?.trim().parse().ok()
}

#[cfg(test)]
mod tests;
