//! Groups on this machine, where one can be made, and how both versions are told apart and set.

#![forbid(unsafe_code)]

use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitStatus, Stdio};

use super::*;

const MIB: u64 = 1 << 20;

fn limits() -> GroupLimits {
    GroupLimits { memory_bytes: 64 * MIB, processes: Some(16), cpus: None }
}

/// A group of this machine; where none can be made, that is said and nothing was tried.
fn group(name: &str, limits: &GroupLimits) -> Option<(Site, Group)> {
    let name = format!("wasmpool-test-{}-{name}", std::process::id());
    let made = Site::find().and_then(|site| {
        let group = Group::make(&site, &name, limits)?;
        Ok((site, group))
    });
    match made {
        Ok(made) => Some(made),
        Err(error) => {
            assert!(error.is_missing(), "{error}");
            assert!(
                !rustix::process::geteuid().is_root() || matches!(error, GroupError::NotDelegated(_)),
                "{error}"
            );
            None
        }
    }
}

/// A shell that goes into the group and then does this.
fn inside(group: &Group, script: &str) -> std::process::Child {
    let mut doors = group.doors().unwrap().into_iter();
    let mut shell = Command::new("sh");
    let (first, second) = (doors.next().unwrap(), doors.next());
    assert!(doors.next().is_none(), "a shell has two streams to write to");
    shell.stdout(Stdio::from(first)).stdin(Stdio::piped());
    let enter = if second.is_some() { "echo 0; echo 0 >&2" } else { "echo 0" };
    shell.stderr(second.map_or(Stdio::null(), Stdio::from));
    shell.args(["-c", &format!("{enter}; exec >/dev/null 2>&1; {script}")]);
    shell.spawn().unwrap()
}

fn run(group: &Group, script: &str) -> ExitStatus {
    inside(group, script).wait().unwrap()
}

#[test]
fn who_goes_in_is_in_with_everything_it_starts_and_the_group_goes_when_all_have_ended() {
    let Some((_, group)) = group("in", &limits()) else { return };
    let folders: Vec<PathBuf> = group.folders.iter().map(|folder| folder.path.clone()).collect();
    let mut shell = inside(&group, "sleep 1000 & echo; read line; kill $!; wait");
    // The shell shows in the group when it has gone in by every door.
    let begun = std::time::Instant::now();
    while !group.holds(shell.id()) {
        assert!(begun.elapsed().as_secs() < 60, "it does not come in");
        std::thread::yield_now();
    }
    assert!(!group.holds(std::process::id()), "this process stays where it is");
    drop(shell.stdin.take());
    shell.wait().unwrap();
    drop(group);
    assert!(folders.iter().all(|folder| !folder.exists()), "{folders:?}");
}

#[test]
fn more_memory_than_the_limit_is_a_kill_that_is_counted_once() {
    let Some((_, group)) = group("memory", &limits()) else { return };
    assert_eq!(run(&group, "head -c 16M /dev/zero | tail -n 1 | wc -c").signal(), None);
    assert_eq!(group.memory_kills(), 0);
    // `tail` keeps a line whole.
    assert_eq!(run(&group, "exec tail -n 1 /dev/zero").signal(), Some(libc::SIGKILL));
    assert_eq!(group.memory_kills(), 1);
    // A kill from outside is none of those.
    assert_eq!(run(&group, "kill -KILL $$").signal(), Some(libc::SIGKILL));
    assert_eq!(group.memory_kills(), 1);
}

#[test]
fn more_processes_than_the_limit_are_refused() {
    let Some((_, group)) = group("processes", &GroupLimits { processes: Some(2), ..limits() }) else {
        return;
    };
    if !group.folders.iter().any(|folder| folder.controllers.contains(&Controller::Processes)) {
        return;
    }
    assert!(run(&group, "(exit 0)").success(), "one beside the shell");
    assert!(!run(&group, "cat | cat | cat").success(), "three beside the shell");
    group.set(&limits()).unwrap();
    assert!(run(&group, "cat | cat | cat").success(), "with another limit");
}

#[test]
fn what_is_abandoned_is_swept_unless_something_is_in_it() {
    let (Some((site, empty)), Some((_, full))) = (group("empty", &limits()), group("full", &limits())) else {
        return;
    };
    let mut shell = inside(&full, "read line");
    while !full.holds(shell.id()) {
        std::thread::yield_now();
    }
    let ours = format!("wasmpool-test-{}-", std::process::id());
    let exists = |group: &Group| group.folders.iter().any(|folder| folder.path.exists());
    site.sweep(|name| name == format!("{ours}empty") || name == format!("{ours}full"));
    assert!(!exists(&empty) && exists(&full));
    // Its folders are gone; there is nothing left for it to remove.
    std::mem::forget(empty);
    drop(shell.stdin.take());
    shell.wait().unwrap();
}

#[test]
fn a_group_that_cannot_be_set_leaves_nothing() {
    let Ok(site) = Site::find() else { return };
    let name = format!("wasmpool-test-{}-unset", std::process::id());
    // Fewer bytes than a page are none, and the kernel takes no number beyond its greatest.
    let limits = GroupLimits { processes: Some(u64::MAX), ..limits() };
    let failed = Group::make(&site, &name, &limits);
    if site.folder(Controller::Processes).is_some() && rustix::process::geteuid().is_root() {
        let error = failed.unwrap_err();
        assert!(matches!(error, GroupError::NotSet { .. }) && !error.is_missing(), "{error}");
    }
    assert!(site.folders.iter().all(|folder| !folder.path.join(&name).exists()));
}

/// A tree of version 2 as this machine may not have one.
fn unified(controllers: &str, delegated: Option<&str>) -> (tempfile::TempDir, Result<Site, GroupError>) {
    let root = tempfile::tempdir().unwrap();
    let own = root.path().join("own");
    fs::create_dir(&own).unwrap();
    fs::write(own.join("cgroup.controllers"), controllers).unwrap();
    fs::write(own.join("memory.max"), "max\n").unwrap();
    fs::write(root.path().join("memory.max"), "1048576\n").unwrap();
    match delegated {
        Some(delegated) => fs::write(own.join("cgroup.subtree_control"), delegated).unwrap(),
        // As the kernel refuses to delegate where processes are, so does a folder to be written to.
        None => fs::create_dir(own.join("cgroup.subtree_control")).unwrap(),
    }
    let mounts = format!("29 25 0:26 / {} rw - cgroup2 cgroup2 rw\n", root.path().display());
    let site = Site::read("0::/own\n", &mounts);
    (root, site)
}

#[test]
fn version_two_is_used_where_it_is_delegated() {
    let (root, site) = unified("cpu memory pids\n", Some("memory pids\n"));
    let site = site.unwrap();
    let own = root.path().join("own");
    let cpu_was_asked_for = Folder {
        version: Version::Two,
        path: own,
        controllers: vec![Controller::Memory, Controller::Processes, Controller::Cpu],
    };
    assert_eq!(site.folders, [cpu_was_asked_for]);
    assert_eq!(site.memory_bytes(), MIB, "the group above has less");
    let (_root, site) = unified("memory\n", None);
    let error = site.unwrap_err();
    assert!(error.is_missing());
    assert!(error.to_string().starts_with("no controller is delegated to this group ("), "{error}");
    let (_root, site) = unified("", Some(""));
    assert!(matches!(site, Err(GroupError::NotDelegated(_))), "{site:?}");
    assert!(matches!(Site::read("", ""), Err(GroupError::NotMounted)));
}

#[test]
fn each_version_has_its_own_words_for_a_limit() {
    let folder = |version| Folder { version, path: PathBuf::new(), controllers: Vec::new() };
    let limits = GroupLimits { memory_bytes: 4096, processes: Some(7), cpus: Some(1.5) };
    let said = |version| {
        let of = |controller| folder(version).settings(controller, &limits);
        let all = Controller::ALL.into_iter().flat_map(of);
        all.map(|(file, value, _)| format!("{file}={value}")).collect::<Vec<_>>()
    };
    assert_eq!(
        said(Version::One),
        [
            "memory.limit_in_bytes=4096",
            "memory.memsw.limit_in_bytes=4096",
            "pids.max=7",
            "cpu.cfs_quota_us=150000"
        ]
    );
    assert_eq!(
        said(Version::Two),
        ["memory.max=4096", "memory.swap.max=0", "pids.max=7", "cpu.max=150000 100000"]
    );
}

#[test]
fn a_process_is_named_by_when_it_was_started() {
    let own = started_at(std::process::id());
    assert!(own.is_some() && own == started_at(std::process::id()));
    assert!(started_at(u32::MAX).is_none());
    assert!(pid_namespace().is_some());
}
