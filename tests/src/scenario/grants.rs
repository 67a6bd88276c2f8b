//! What tasks are granted, and the CPU time of each.

#![forbid(unsafe_code)]

use std::collections::HashSet;
use std::path::Path;
use std::time::Duration;

use futures_util::StreamExt;
use serde_json::Value;
use wasmpool::{DirAccess, GrantedDir, Limits, Module, Order, Pool, Task};

use crate::support::{self, call};

const CPU_TIME: Duration = Duration::from_millis(200);

/// Runs tasks to their ends, which are in the order of the tasks.
async fn records(pool: &Pool, tasks: Vec<Task>) -> Vec<Value> {
    let records = pool.records(futures_util::stream::iter(tasks), Order::Input);
    records.map(|(_, record)| support::record(&record)).collect().await
}

fn codes(records: &[Value]) -> Vec<u64> {
    records.iter().map(|record| record["code"].as_u64().expect("a code")).collect()
}

fn processes(records: &[Value]) -> usize {
    records.iter().map(|record| record["pid"].as_u64()).collect::<HashSet<_>>().len()
}

/// Each call has the whole CPU time for itself, also in a chunk and in a worker that had tasks before.
pub fn cpu_time(_: &[String]) {
    let supervisor = support::supervisor();
    support::block_on(async {
        let module = support::guests(&supervisor).await;
        let limited = |task: Task| task.limits(Limits { cpu_time: Some(CPU_TIME), ..Limits::default() });
        // Together, they use more than each of them may.
        let burn = |module: &Module| (0..4).map(|_| limited(call(module, "burn_ms", (120,)))).collect();
        let pools = [
            support::pool(&supervisor, 1).chunksize(4).build().expect("a pool"),
            support::pool(&supervisor, 1).max_tasks_per_worker(10).build().expect("a pool"),
        ];
        for pool in &pools {
            let burned = records(pool, burn(&module)).await;
            assert_eq!((codes(&burned), processes(&burned)), (vec![0; 4], 1), "{burned:#?}");
            let spun = (0..4).map(|number| limited(call(&module, "spin_if", (number, 2))));
            let spun = records(pool, spun.collect()).await;
            assert_eq!(codes(&spun), [0, 0, 227, 0], "{spun:#?}");
            let used = spun[2]["cpu_ms"].as_f64().expect("a time");
            assert!(used >= 200.0, "{spun:#?}");
        }
    });
}

/// Tasks with different grants have different fork servers, and those with the same one the same. Argument: an empty
/// folder.
pub fn servers(args: &[String]) {
    let folder = Path::new(&args[0]);
    let [one, other] = ["one", "other"].map(|name| folder.join(name));
    for path in [&one, &other] {
        std::fs::create_dir(path).expect("a folder");
        std::fs::write(path.join("name"), path.file_name().expect("a name").as_encoded_bytes())
            .expect("a file");
    }
    let supervisor = support::supervisor();
    support::block_on(async {
        let module = support::guests(&supervisor).await;
        let pool = support::pool(&supervisor, 1).build().expect("a pool");
        let grants = [
            (&one, "/data", DirAccess::ReadOnly, "one", 1),
            (&other, "/data", DirAccess::ReadOnly, "other", 2),
            // The same directory, opened once more.
            (&one, "/data", DirAccess::ReadOnly, "one", 2),
            (&one, "/data", DirAccess::ReadWrite, "one", 3),
            (&one, "/data/", DirAccess::ReadOnly, "one", 4),
            (&other, "/data", DirAccess::ReadOnly, "other", 4),
        ];
        for (path, guest, access, name, servers) in grants {
            let dir = GrantedDir::open(path, guest, access).expect("a directory");
            let read = records(&pool, vec![call(&module, "read_file", ("/data/name",)).dir(dir)]).await;
            assert_eq!(read[0]["value"], name, "{read:#?}");
            assert_eq!(support::fork_servers().len(), servers, "after {guest} of {}", path.display());
        }
        // What one task was granted, the next one is not.
        let read = records(&pool, vec![call(&module, "read_file", ("/data/name",))]).await;
        assert_eq!((codes(&read), support::fork_servers().len()), (vec![1], 5), "{read:#?}");
    });
}

/// What was granted is the directory that was there, not whatever has its name by now. Argument: an empty folder.
pub fn replaced(args: &[String]) {
    let folder = Path::new(&args[0]);
    let (path, moved) = (folder.join("data"), folder.join("moved"));
    std::fs::create_dir(&path).expect("a folder");
    std::fs::write(path.join("name"), "granted").expect("a file");
    let dir = GrantedDir::open(&path, "/data", DirAccess::ReadOnly).expect("a directory");
    std::fs::rename(&path, &moved).expect("another name");
    std::fs::create_dir(&path).expect("a folder");
    std::fs::write(path.join("name"), "not granted").expect("a file");
    let supervisor = support::supervisor();
    support::block_on(async {
        let module = support::guests(&supervisor).await;
        let pool = support::pool(&supervisor, 1).build().expect("a pool");
        let read = records(&pool, vec![call(&module, "read_file", ("/data/name",)).dir(dir)]).await;
        // By its descriptor it is the right one; by its path, that it is not is noticed.
        let is_told = read[0]["code"] == 247
            && read[0]["text"].as_str().is_some_and(|text| text.contains("since it was granted"));
        assert!(read[0]["value"] == "granted" || is_told, "{read:#?}");
    });
}

/// What cannot be given is said before anything runs, by `check` and in the record. Argument: an empty folder.
pub fn refused(args: &[String]) {
    let folder = Path::new(&args[0]);
    let open = |guest: &str, access| GrantedDir::open(folder, guest, access).expect("a directory");
    let (read, write) = (DirAccess::ReadOnly, DirAccess::ReadWrite);
    let variable = |name: &str, value: &str| vec![(name.to_owned(), value.to_owned())];
    let supervisor = support::supervisor();
    support::block_on(async {
        let module = support::guests(&supervisor).await;
        let pool = support::pool(&supervisor, 1).build().expect("a pool");
        let task = || call(&module, "environment", ());
        for (task, says) in [
            (task().dir(open("/a", write)).dir(open("a/", write)), "is granted twice"),
            (task().dir(open("/a", read)).dir(open("/b", write)), "cannot be granted read-only beside"),
            (task().env(variable("", "1")), "is no name for an environment variable"),
            (task().env(variable("A=B", "1")), "is no name for an environment variable"),
            (task().env(variable("A", "\0")), "the value of the environment variable `A`"),
            (task().env(variable("A", &"x".repeat(40_000))), "the environment has 40003 bytes"),
        ] {
            let error = task.check().expect_err("it does not fit").to_string();
            assert!(error.contains(says), "{error}");
            let ended = records(&pool, vec![task]).await;
            assert_eq!((codes(&ended), &ended[0]["outcome"]), (vec![225], &Value::from("not_run")));
            assert_eq!(ended[0]["text"], format!("not run: {error}"));
        }
        assert_eq!(support::fork_servers(), Vec::<u32>::new(), "nothing was started");
        // As much as may be beside as much as fits a frame.
        let large = task().env(variable("A", &"x".repeat(32 * 1024 - 3)));
        assert_eq!(codes(&records(&pool, vec![large]).await), [0]);
        let both = call(&module, "echo_json", ("y".repeat(24_000),)).env(variable("A", &"x".repeat(32_000)));
        assert_eq!(codes(&records(&pool, vec![both]).await), [0]);
    });
}

/// What stands in the environment of the host is in no process that runs a guest. Arguments: what must not be seen, and how many
/// workers there are.
pub fn secrets(args: &[String]) {
    let (secret, workers) = (args[0].as_str(), args[1].parse().expect("a number of workers"));
    assert!(std::env::vars().any(|(_, value)| value == secret), "it stands in the environment");
    let supervisor = support::supervisor();
    support::block_on(async {
        let module = support::guests(&supervisor).await;
        let pool = support::pool(&supervisor, workers).build().expect("a pool");
        let granted = vec![("GRANTED".to_owned(), "yes".to_owned())];
        let seen = records(&pool, vec![call(&module, "environment", ()).env(granted)]).await;
        assert_eq!(seen[0]["value"], serde_json::json!({ "GRANTED": "yes" }));
        let handle = pool.submit(call(&module, "wait_cancelled", ())).await.expect("a handle");
        support::until_running(&handle).await;
        let children = support::children();
        assert!(children.len() >= 2, "a fork server and a worker");
        for child in children {
            match std::fs::read(format!("/proc/{child}/environ")) {
                Ok(bytes) => {
                    let text = String::from_utf8_lossy(&bytes);
                    assert!(
                        !text.contains(secret) && !text.contains("GRANTED"),
                        "process {child} has {text:?}"
                    );
                }
                // A process that cannot be dumped shows nothing to anybody but root.
                Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::PermissionDenied),
            }
        }
        handle.terminate();
        handle.await;
    });
}
