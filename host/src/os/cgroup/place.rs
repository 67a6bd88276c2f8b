//! Where a process stands in the control groups, from the two texts in which the kernel says it.
//!
//! `/proc/self/cgroup` names a path for each hierarchy, `/proc/self/mountinfo` says which part of a hierarchy
//! is mounted where. Neither is enough alone: in a container the mount may begin at the container's own group
//! (and then the path does too, if there is a cgroup namespace, and does not, if there is none).
//!
//! Pure: no file is opened.

#![forbid(unsafe_code)]

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::{Component, Path, PathBuf};

/// The folder of the process's group in the version 1 hierarchy of this controller.
pub(super) fn version_one(controller: &str, membership: &str, mounts: &str) -> Option<PathBuf> {
    let path = path_in(membership, |names| names.split(',').any(|name| name == controller))?;
    folder(mounts, path, |mount| {
        mount.kind == "cgroup" && mount.options.split(',').any(|option| option == controller)
    })
}

/// The folder of the process's group in the version 2 hierarchy.
pub(super) fn version_two(membership: &str, mounts: &str) -> Option<PathBuf> {
    let path = path_in(membership, str::is_empty)?;
    folder(mounts, path, |mount| mount.kind == "cgroup2")
}

/// A line is `number:controllers:path`; the version 2 hierarchy names no controllers.
fn path_in(membership: &str, is_it: impl Fn(&str) -> bool) -> Option<&str> {
    membership.lines().find_map(|line| {
        let mut fields = line.splitn(3, ':').skip(1);
        let (names, path) = (fields.next()?, fields.next()?);
        is_it(names).then_some(path)
    })
}

fn folder(mounts: &str, path: &str, is_it: impl Fn(&Mount<'_>) -> bool) -> Option<PathBuf> {
    let mounts = mounts.lines().filter_map(Mount::parse).filter(is_it);
    mounts.filter_map(|mount| mount.folder_of(Path::new(path))).next()
}

/// What one line of `/proc/self/mountinfo` says.
struct Mount<'a> {
    /// The part of the file system that is mounted.
    root: PathBuf,
    point: PathBuf,
    kind: &'a str,
    /// The options of the file system, which name a version 1 hierarchy's controllers.
    options: &'a str,
}

impl<'a> Mount<'a> {
    /// `36 35 98:0 /root /point rw,noatime shared:1 - kind source options`, with any number of optional fields
    /// before the dash.
    fn parse(line: &'a str) -> Option<Self> {
        let (left, right) = line.split_once(" - ")?;
        let mut left = left.split(' ').skip(3);
        let (root, point) = (unescaped(left.next()?), unescaped(left.next()?));
        let mut right = right.split(' ');
        let kind = right.next()?;
        Some(Self { root, point, kind, options: right.nth(1)? })
    }

    /// Where a group is to be found, if it lies in what is mounted.
    fn folder_of(&self, path: &Path) -> Option<PathBuf> {
        let inside = path.strip_prefix(&self.root).ok()?;
        // A group outside of the cgroup namespace's root shows as `/../other`.
        let is_outside = inside.components().any(|part| part == Component::ParentDir);
        (!is_outside).then(|| self.point.join(inside))
    }
}

/// Spaces and the like are written as a backslash and three octal digits.
fn unescaped(text: &str) -> PathBuf {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, more)) = rest.split_first() {
        let digits = more.get(..3).and_then(|digits| std::str::from_utf8(digits).ok());
        match digits.and_then(|digits| u8::from_str_radix(digits, 8).ok()).filter(|_| *first == b'\\') {
            Some(byte) => {
                bytes.push(byte);
                rest = &more[3..];
            }
            None => {
                bytes.push(*first);
                rest = more;
            }
        }
    }
    PathBuf::from(OsString::from_vec(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A machine, what the kernel says there, and where the memory group of version 1 and the group of version 2 are.
    struct Machine {
        what: &'static str,
        membership: &'static str,
        mounts: &'static str,
        memory: Option<&'static str>,
        unified: Option<&'static str>,
    }

    const MACHINES: &[Machine] = &[
        Machine {
            what: "version 2 alone, a desktop",
            membership: "0::/user.slice/user-1000.slice/session-2.scope\n",
            mounts: "25 30 0:22 / /sys rw - sysfs sysfs rw\n\
                     29 25 0:26 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n",
            memory: None,
            unified: Some("/sys/fs/cgroup/user.slice/user-1000.slice/session-2.scope"),
        },
        Machine {
            what: "version 1 alone, several controllers in one hierarchy",
            membership: "4:memory:/jobs/one\n3:pids:/\n2:cpu,cpuacct:/jobs\n1:name=systemd:/\n",
            mounts: "35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n\
                     33 31 0:30 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n",
            memory: Some("/sys/fs/cgroup/memory/jobs/one"),
            unified: None,
        },
        Machine {
            what: "both, version 2 without controllers",
            membership: "9:name=systemd:/\n4:memory:/api/04d7\n0::/\n",
            mounts: "35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory\n\
                     41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw\n",
            memory: Some("/sys/fs/cgroup/memory/api/04d7"),
            unified: Some("/sys/fs/cgroup/unified"),
        },
        Machine {
            what: "a container with a cgroup namespace: path and mount begin at its own group",
            membership: "4:memory:/\n0::/\n",
            mounts: "35 31 0:32 / /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n\
                     41 31 0:38 / /sys/fs/cgroup/unified ro - cgroup2 cgroup2 rw\n",
            memory: Some("/sys/fs/cgroup/memory"),
            unified: Some("/sys/fs/cgroup/unified"),
        },
        Machine {
            what: "a container without one: both name the machine's path",
            membership: "4:memory:/docker/abc/inner\n0::/docker/abc\n",
            mounts: "35 31 0:32 /docker/abc /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n\
                     41 31 0:38 /docker/abc /sys/fs/cgroup/unified ro - cgroup2 cgroup2 rw\n",
            memory: Some("/sys/fs/cgroup/memory/inner"),
            unified: Some("/sys/fs/cgroup/unified"),
        },
        Machine {
            what: "a group that is not mounted, and one outside of the namespace",
            membership: "4:memory:/elsewhere\n0::/../sibling\n",
            mounts: "35 31 0:32 /docker/abc /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n\
                     41 31 0:38 / /sys/fs/cgroup/unified ro - cgroup2 cgroup2 rw\n",
            memory: None,
            unified: None,
        },
        Machine {
            what: "a mount point with a space, a path with a colon, and a line that is none",
            membership: "4:memory:/a:b\n0::/a:b\nnothing\n",
            mounts: "nothing\n35 31 0:32 / /a\\040place rw - cgroup cgroup rw,memory\n\
                     41 31 0:38 / /other\\134 rw - cgroup2 cgroup2 rw\n",
            memory: Some("/a place/a:b"),
            unified: Some("/other\\/a:b"),
        },
        Machine { what: "no cgroups at all", membership: "", mounts: "", memory: None, unified: None },
    ];

    #[test]
    fn the_own_group_is_found_on_every_kind_of_machine() {
        for machine in MACHINES {
            let memory = version_one("memory", machine.membership, machine.mounts);
            assert_eq!(memory.as_deref(), machine.memory.map(Path::new), "{}", machine.what);
            let unified = version_two(machine.membership, machine.mounts);
            assert_eq!(unified.as_deref(), machine.unified.map(Path::new), "{}", machine.what);
        }
    }

    #[test]
    fn a_controller_is_found_among_others() {
        let several = &MACHINES[1];
        let cpu = version_one("cpu", several.membership, several.mounts);
        assert_eq!(cpu.as_deref(), Some(Path::new("/sys/fs/cgroup/cpu,cpuacct/jobs")));
        // Its hierarchy exists and is mounted nowhere.
        assert_eq!(version_one("pids", several.membership, several.mounts), None);
    }
}
