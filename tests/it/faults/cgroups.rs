//! T20 and T21: what a machine gives is seen, and what its kernel kills for memory is told.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use crate::support::{processes, scenario, wasmpool};

/// T20: tasks that may use 1 GiB each in a pool of 128 MiB end with 228, those beside them with their own outcome;
/// a task's own limit stays 222, and a SIGKILL from outside 137.
#[test]
fn the_pools_limit_and_the_tasks_limit_and_a_kill_are_told_apart() {
    println!("{:?}", scenario("pool-memory", &[]).run().expect(0).records());
}

/// T21: fork servers that are killed for memory are named as that.
#[test]
fn fork_servers_without_memory_fail_their_tasks_with_the_cause() {
    let said = scenario("pool-memory-of-servers", &[]).run().expect(0).records();
    let text = said[0]["text"].as_str().expect("a text");
    assert!(text == "missing" || text.contains("5 failures in a row"), "{text}");
    assert!(text == "missing" || text.contains("killed by the kernel"), "{text}");
}

/// Made with the pool, entered by its processes alone, removed after them.
#[test]
fn each_pool_has_a_cgroup_of_its_own_while_it_lives() {
    println!("{:?}", scenario("pool-groups", &[]).run().expect(0).records());
}

/// T8: a supervisor that was killed leaves its cgroup, which the next one removes.
#[test]
fn the_cgroup_of_a_killed_host_is_removed_by_the_next() {
    let mut host = scenario("wait-for-death", &["busy"]).start();
    let mut line = String::new();
    BufReader::new(host.stdout.take().expect("a pipe")).read_line(&mut line).expect("it says when");
    host.kill().expect("it lives");
    host.wait().expect("it is ours");
    processes::expect_no_orphans();
    let said = scenario("groups-left", &[&host.id().to_string()]).run().expect(0).records().remove(0);
    let expected = if said["missing"].is_null() { 1 } else { 0 };
    assert!(said["before"].as_u64().expect("a number") >= expected, "{said}");
    assert_eq!(said["after"], 0, "{said}");
}

/// What `wasmpool doctor` says of the workers that a pool has by default.
fn default_workers(run: impl FnOnce() -> crate::support::Finished) -> u64 {
    let found = run();
    let found: serde_json::Value = serde_json::from_str(&found.stdout).expect("one JSON object");
    found["workers"].as_u64().expect("a number")
}

fn doctor() -> crate::support::Finished {
    wasmpool(["doctor", "--format", "json"]).run()
}

/// T20: a host that may use one CPU has one worker by default, whatever the machine has.
#[test]
fn the_default_workers_fit_an_affinity() {
    let thread = std::thread::spawn(|| {
        let all = rustix::thread::sched_getaffinity(None).expect("the own affinity");
        let first = (0..rustix::thread::CpuSet::MAX_CPU).find(|cpu| all.is_set(*cpu)).expect("a CPU");
        let mut one = rustix::thread::CpuSet::new();
        one.set(first);
        rustix::thread::sched_setaffinity(None, &one).expect("fewer CPUs are always allowed");
        default_workers(doctor)
    });
    assert_eq!(thread.join().expect("it does not panic"), 1);
    let cpus = u64::try_from(wasmpool::cpu_count()).expect("a small number");
    assert_eq!(default_workers(doctor), cpus);
}

/// A cgroup with the CPU time of one CPU, where this process may make one.
struct OneCpu {
    folder: PathBuf,
    door: &'static str,
}

impl OneCpu {
    fn make() -> Option<Self> {
        let membership = std::fs::read_to_string("/proc/self/cgroup").expect("/proc is mounted");
        let path = |is_it: fn(&str) -> bool| {
            let mut lines = membership.lines().map(|line| line.splitn(3, ':').skip(1));
            lines.find_map(|mut line| Some((line.next()?, line.next()?)).filter(|(names, _)| is_it(names)))
        };
        let name = format!("wasmpool-test-one-cpu-{}", std::process::id());
        let candidates = [
            (
                "/sys/fs/cgroup/cpu",
                path(|names| names.split(',').any(|name| name == "cpu")),
                "cpu.cfs_quota_us",
                "100000",
                "tasks",
            ),
            ("/sys/fs/cgroup", path(str::is_empty), "cpu.max", "100000 100000", "cgroup.procs"),
        ];
        candidates.into_iter().find_map(|(mount, path, file, quota, door)| {
            let folder = Path::new(mount).join(path?.1.trim_start_matches('/')).join(&name);
            std::fs::create_dir(&folder).ok()?;
            let group = Self { folder, door };
            std::fs::write(group.folder.join(file), quota).ok().map(|()| group)
        })
    }
}

impl Drop for OneCpu {
    fn drop(&mut self) {
        std::fs::remove_dir(&self.folder).expect("nothing is left in it");
    }
}

/// T20: so it is with a quota of CPU time. Where none can be set, the default is what the machine gives.
#[test]
fn the_default_workers_fit_a_quota() {
    let Some(group) = OneCpu::make() else {
        let cpus = u64::try_from(wasmpool::cpu_count()).expect("a small number");
        return assert_eq!(default_workers(doctor), cpus);
    };
    let door = group.folder.join(group.door);
    let workers = default_workers(|| wasmpool(["doctor", "--format", "json"]).entering(&door).run());
    assert_eq!(workers, 1);
}
