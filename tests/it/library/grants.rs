//! What tasks are granted: directories, for reading or for writing, and environment variables.
//!
//! Nobody but the tests' user can enter the folders of these tests, so a task that uses one runs as that user.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::SystemTime;

use serde_json::{Value, json};

use crate::support::{ordinary, plan, scenario};

/// Folders for one test.
struct Folders {
    folder: tempfile::TempDir,
}

impl Folders {
    /// Each of these files has its own path as its text.
    fn with(files: &[&str]) -> Self {
        let folders = Self { folder: tempfile::tempdir().expect("a folder") };
        for file in files {
            let path = folders.path(file);
            std::fs::create_dir_all(path.parent().expect("it lies in the folder")).expect("a folder");
            std::fs::write(path, file).expect("a file");
        }
        folders
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).expect("a file of text")
    }

    fn link(&self, original: &str, link: &str) {
        std::os::unix::fs::symlink(original, self.path(link)).expect("a link");
    }

    /// A grant of one of the folders.
    fn grant(&self, name: &str, guest: &str, mode: &str) -> Value {
        ordinary::give(self.folder.path());
        json!([self.path(name), guest, mode])
    }

    /// Everything that is there, with texts and times.
    fn all(&self) -> BTreeMap<PathBuf, (Option<String>, SystemTime)> {
        let mut all = BTreeMap::new();
        let mut folders = vec![self.folder.path().to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).expect("a folder") {
                let path = entry.expect("an entry").path();
                let metadata = std::fs::symlink_metadata(&path).expect("it is there");
                if metadata.is_dir() {
                    folders.push(path.clone());
                }
                let text = metadata.is_file().then(|| std::fs::read_to_string(&path).expect("a text"));
                all.insert(path, (text, metadata.modified().expect("a time")));
            }
        }
        all
    }
}

/// Runs tasks with these grants, one after the other, each in a process of its own.
fn run(dirs: &[Value], tasks: &[(&str, Value)]) -> Vec<Value> {
    run_in(1, dirs, tasks)
}

fn run_in(workers: usize, dirs: &[Value], tasks: &[(&str, Value)]) -> Vec<Value> {
    let task = |(task, args): &(&str, Value)| json!({ "task": task, "args": args, "dirs": dirs });
    plan(&json!({ "workers": workers, "tasks": tasks.iter().map(task).collect::<Vec<_>>() }))
}

/// Runs tasks that must fail with an error of the system, in pools of 1 and 4; their errors.
fn expect_errors(dirs: &[Value], tasks: &[(&str, Value)]) -> Vec<String> {
    let records = [1, 4].map(|workers| run_in(workers, dirs, tasks));
    for ((task, args), record) in tasks.iter().cycle().zip(records.iter().flatten()) {
        assert_eq!(record["code"], 1, "{task} {args}: {record:#}");
    }
    records[0].iter().map(|record| record["text"].as_str().expect("a text").to_owned()).collect()
}

#[test]
fn a_directory_may_be_read_and_written() {
    let folders = Folders::with(&["data/a", "data/sub/b"]);
    let dirs = [folders.grant("data", "/data", "rw")];
    let table = [
        ("read_file", json!(["/data/a"]), json!("data/a")),
        ("read_bytes", json!(["/data/sub/../a"]), Value::Null),
        ("append_file", json!(["/data/a", " and more"]), json!(15)),
        ("write_file", json!(["/data/new", "text"]), json!(4)),
        ("rewrite_file", json!(["/data/other"]), json!("one TWO")),
        ("set_times", json!(["/data/other"]), Value::Null),
        ("make_dir", json!(["/data/made"]), Value::Null),
        ("rename_file", json!(["/data/new", "/data/made/old"]), Value::Null),
        ("hard_link", json!(["/data/a", "/data/made/second"]), Value::Null),
        ("symlink", json!(["../a", "/data/made/link"]), Value::Null),
        ("read_file", json!(["/data/made/link"]), json!("data/a and more")),
        ("stat", json!(["/data/made/link"]), json!(["link", 0])),
        ("stat", json!(["/data/made"]), json!(["directory", 0])),
        ("list_dir", json!(["/data/made"]), json!(["link", "old", "second"])),
        ("truncate_file", json!(["/data/made/old"]), Value::Null),
        ("stat", json!(["/data/made/old"]), json!(["file", 0])),
        ("make_dir", json!(["/data/empty"]), Value::Null),
        ("remove_dir", json!(["/data/empty"]), Value::Null),
        ("remove_file", json!(["/data/sub/b"]), Value::Null),
    ];
    let tasks: Vec<_> = table.iter().map(|(task, args, _)| (*task, args.clone())).collect();
    for ((task, args, value), record) in table.iter().zip(run(&dirs, &tasks)) {
        assert_eq!(record["code"], 0, "{task} {args}: {record:#}");
        assert_eq!(record["value"], *value, "{task} {args}");
    }
    let all = folders.all();
    let names: BTreeSet<_> =
        all.keys().map(|path| path.strip_prefix(folders.path("data")).unwrap_or(path)).collect();
    let expected = ["a", "made", "made/link", "made/old", "made/second", "other", "sub"];
    assert!(expected.iter().all(|name| names.contains(Path::new(name))), "{names:?}");
    assert_eq!(names.len(), expected.len() + 1, "{names:?}");
    assert_eq!(folders.text("data/made/second"), "data/a and more");
    let day = all[&folders.path("data/other")].1.duration_since(SystemTime::UNIX_EPOCH).expect("a time");
    assert_eq!(day.as_secs(), 86_400);
}

#[test]
fn a_read_only_directory_is_read_and_in_no_way_changed() {
    let folders = Folders::with(&["data/a", "data/sub/b"]);
    folders.link("a", "data/link");
    let dirs = [folders.grant("data", "/data", "ro")];
    let before = folders.all();
    let reads = run(
        &dirs,
        &[
            ("read_file", json!(["/data/link"])),
            ("list_dir", json!(["/data"])),
            ("stat", json!(["/data/sub/b"])),
        ],
    );
    let values: Vec<_> = reads.iter().map(|record| &record["value"]).collect();
    assert_eq!(values, [&json!("data/a"), &json!(["a", "link", "sub"]), &json!(["file", 10])]);
    expect_errors(
        &dirs,
        &[
            ("write_file", json!(["/data/a", "x"])),
            ("write_file", json!(["/data/new", "x"])),
            ("append_file", json!(["/data/a", "x"])),
            ("rewrite_file", json!(["/data/a"])),
            ("truncate_file", json!(["/data/a"])),
            ("truncate_file", json!(["/data/link"])),
            ("set_length", json!(["/data/a", 0])),
            ("set_times", json!(["/data/a"])),
            ("make_dir", json!(["/data/made"])),
            ("remove_file", json!(["/data/a"])),
            ("remove_dir", json!(["/data/sub"])),
            ("rename_file", json!(["/data/a", "/data/b"])),
            ("hard_link", json!(["/data/a", "/data/b"])),
            ("symlink", json!(["a", "/data/b"])),
        ],
    );
    assert_eq!(folders.all(), before, "nothing has changed");
}

/// What is read-only outside and writable inside is both; the reverse cannot be enforced and is refused
/// (`refused_grants_are_said_before_anything_runs`).
#[test]
fn a_writable_directory_may_lie_in_a_read_only_one() {
    let folders = Folders::with(&["data/a", "data/inner/b"]);
    for inner in ["/data/inner", "/inner"] {
        let dirs = [folders.grant("data", "/data", "ro"), folders.grant("data/inner", inner, "rw")];
        let records = run(
            &dirs,
            &[
                ("read_file", json!(["/data/a"])),
                ("write_file", json!([format!("{inner}/b"), "written"])),
                ("read_file", json!(["/data/inner/b"])),
                ("write_file", json!(["/data/a", "written"])),
                ("make_dir", json!(["/data/made"])),
            ],
        );
        let codes: Vec<_> = records.iter().map(|record| record["code"].as_u64().expect("a code")).collect();
        assert_eq!(codes, [0, 0, 0, 1, 1], "{inner}: {records:#?}");
        assert_eq!(records[2]["value"], "written");
        assert_eq!(folders.text("data/a"), "data/a");
    }
    // By the path of the read-only grant, it is read-only.
    let dirs = [folders.grant("data", "/data", "ro"), folders.grant("data/inner", "/inner", "rw")];
    expect_errors(&dirs, &[("write_file", json!(["/data/inner/b", "x"]))]);
}

/// Nothing that is read-only gets a name where it could be written, and the reverse.
#[test]
fn nothing_is_moved_between_what_may_be_read_and_what_may_be_written() {
    let folders = Folders::with(&["read/a", "write/b", "inner/c"]);
    let dirs = [folders.grant("read", "/read", "ro"), folders.grant("write", "/write", "rw")];
    let before = folders.all();
    expect_errors(
        &dirs,
        &[
            ("hard_link", json!(["/read/a", "/write/a"])),
            ("rename_file", json!(["/read/a", "/write/a"])),
            ("rename_file", json!(["/write/b", "/read/b"])),
            ("hard_link", json!(["/write/b", "/read/b"])),
            ("rename_file", json!(["/write/b", "/read/a"])),
        ],
    );
    assert_eq!(folders.all(), before);
}

/// Several directories, each at its own path; what is beside them is not there.
#[test]
fn each_directory_has_its_own_path() {
    let folders = Folders::with(&["one/a", "two/b", "three/c"]);
    let dirs = [folders.grant("one", "/x/one", "ro"), folders.grant("two", "two", "rw")];
    let records = run(
        &dirs,
        &[
            ("read_file", json!(["/x/one/a"])),
            ("read_file", json!(["/two/b"])),
            ("read_file", json!(["two/b"])),
            ("read_file", json!(["/three/c"])),
            ("read_file", json!([folders.path("three/c")])),
            ("read_file", json!([folders.path("one/a")])),
        ],
    );
    let codes: Vec<_> = records.iter().map(|record| record["code"].as_u64().expect("a code")).collect();
    assert_eq!(codes, [0, 0, 0, 1, 1, 1], "{records:#?}");
}

/// Every way out of a granted directory that a path can take.
#[test]
fn no_path_leads_out_of_a_granted_directory() {
    let folders = Folders::with(&["data/sub/b", "outside/secret", "data/inside"]);
    let outside = folders.path("outside").display().to_string();
    folders.link(&format!("{outside}/secret"), "data/absolute");
    folders.link("../outside/secret", "data/relative");
    folders.link("../outside", "data/folder");
    folders.link(&outside, "data/absolute_folder");
    folders.link("sub/../../outside", "data/winding");
    folders.link("folder", "data/chain");
    folders.link("../..", "data/sub/up");
    let before = folders.all();
    let paths = [
        "/data/../outside/secret",
        "/data/sub/../../outside/secret",
        "/data/./sub/.././../outside/secret",
        "/data/absolute",
        "/data/absolute/",
        "/data/relative",
        "/data/folder/secret",
        "/data/folder//secret",
        "/data/folder/",
        "/data/folder/.",
        "/data/absolute_folder/secret",
        "/data/winding/secret",
        "/data/chain/secret",
        "/data/sub/up/outside/secret",
        "/data/sub/up/data/../outside/secret",
        "/etc/passwd",
        "//etc/passwd",
        "/data//etc/../../../../../../etc/passwd",
        "etc/passwd",
    ];
    for mode in ["ro", "rw"] {
        let dirs = [folders.grant("data", "/data", mode)];
        let mut tasks = Vec::new();
        for path in paths {
            tasks.push(("read_file", json!([path])));
            tasks.push(("append_file", json!([path, "x"])));
        }
        let folders_outside = ["/data/folder/", "/data/absolute_folder", "/data/..", "/data/sub/up/", "/"];
        tasks.extend(folders_outside.map(|path| ("list_dir", json!([path]))));
        tasks.extend([
            ("write_file", json!(["/data/folder/new", "x"])),
            ("write_file", json!(["/data/../new", "x"])),
            ("make_dir", json!(["/data/folder/made"])),
            ("remove_file", json!(["/data/folder/secret"])),
            ("rename_file", json!(["/data/inside", "/data/../outside/inside"])),
            ("rename_file", json!(["/data/folder/secret", "/data/secret"])),
            ("hard_link", json!(["/data/folder/secret", "/data/secret"])),
            ("hard_link", json!(["/data/../outside/secret", "/data/secret"])),
            ("truncate_file", json!(["/data/relative"])),
            ("set_times", json!(["/data/relative"])),
            // A link to an absolute path would be one for the host.
            ("symlink", json!(["/etc/passwd", "/data/made"])),
        ]);
        for error in expect_errors(&dirs, &tasks) {
            assert!(!error.contains("secret\n"), "{error}");
        }
        assert_eq!(folders.all(), before, "{mode}");
    }
    // A link that the guest makes itself leads nowhere either.
    let dirs = [folders.grant("data", "/data", "rw")];
    let made = run(
        &dirs,
        &[
            ("symlink", json!(["../outside/secret", "/data/own"])),
            ("read_file", json!(["/data/own"])),
            ("append_file", json!(["/data/own", "x"])),
        ],
    );
    assert_eq!((&made[1]["code"], &made[2]["code"]), (&json!(1), &json!(1)), "{made:#?}");
    assert_eq!(folders.text("outside/secret"), "outside/secret");
}

/// Somebody else swaps a directory for a link to the outside, all the time; the guest reads below it and never gets out.
#[test]
fn a_rename_storm_lets_nobody_out() {
    let folders = Folders::with(&["data/x/secret", "outside/secret"]);
    folders.link("../outside", "data/link");
    let [x, link, aside] = ["data/x", "data/link", "data/aside"].map(|name| folders.path(name));
    let over = AtomicBool::new(false);
    let dirs = [folders.grant("data", "/data", "ro")];
    let seen = std::thread::scope(|scope| {
        scope.spawn(|| {
            let rename = |from: &Path, to: &Path| std::fs::rename(from, to).expect("it is there");
            while !over.load(Ordering::Relaxed) {
                rename(&x, &aside);
                rename(&link, &x);
                rename(&x, &link);
                rename(&aside, &x);
            }
        });
        let records = run(&dirs, &[("read_many_times", json!(["/data/x/secret", 20_000]))]);
        over.store(true, Ordering::Relaxed);
        records[0]["value"].clone()
    });
    let seen: BTreeSet<&str> =
        seen.as_array().expect("texts").iter().filter_map(|text| text.as_str()).collect();
    assert!(seen.contains("data/x/secret"), "it read what was granted: {seen:?}");
    assert!(seen.iter().any(|text| text.starts_with("error")), "it met the storm: {seen:?}");
    let read: Vec<_> = seen.iter().filter(|text| !text.starts_with("error")).collect();
    assert_eq!(read, [&"data/x/secret"], "it got out");
}

/// A guest that opens files until there are no descriptors left gets an error, and its result arrives, though it
/// travels in a file of its own; so does the next one's in the same worker.
#[test]
fn a_guest_without_descriptors_gets_an_error_and_its_result_arrives() {
    let folders = Folders::with(&["data/a"]);
    let dirs = json!([folders.grant("data", "/data", "ro")]);
    let length = 60_000;
    let task = json!({ "task": "open_without_end", "args": ["/data/a", length], "dirs": dirs, "count": 2 });
    for (workers, per_worker) in [(1, 1), (1, 2), (4, 1)] {
        let pool = json!({ "workers": workers, "per_worker": per_worker, "tasks": [task] });
        let records = plan(&pool);
        for record in &records {
            assert_eq!(record["code"], 0, "{record:#}");
            let opened = record["value"][0].as_u64().expect("a number");
            assert!((500..1024).contains(&opened), "it opened {opened} files");
            assert!(record["value"][1].as_str().expect("an error").contains("os error"), "{record:#}");
            assert_eq!(record["value"][2].as_str().map(str::len), Some(length));
        }
        assert_eq!(records[0]["pid"] == records[1]["pid"], per_worker == 2);
    }
}

#[test]
fn different_grants_have_different_fork_servers() {
    let folder = tempfile::tempdir().expect("a folder");
    ordinary::give(folder.path());
    scenario("grant-servers", &[&folder.path().display().to_string()]).run().expect(0);
}

#[test]
fn a_directory_that_takes_the_place_of_a_granted_one_is_not_granted() {
    let folder = tempfile::tempdir().expect("a folder");
    scenario("grant-replaced", &[&folder.path().display().to_string()]).run().expect(0);
}

/// By `Task::check`, and in the record.
#[test]
fn refused_grants_are_said_before_anything_runs() {
    let folder = tempfile::tempdir().expect("a folder");
    scenario("grant-refused", &[&folder.path().display().to_string()]).run().expect(0);
}

/// A secret in the host's environment is seen by no guest, and is in no process of ours.
#[test]
fn the_hosts_environment_stays_with_the_host() {
    for workers in ["1", "4"] {
        let seen = scenario("secrets", &["hunter2", workers]);
        seen.env("WASMPOOL_TEST_SECRET", "hunter2").run().expect(0);
    }
}

/// Both start methods and no sandbox at all give the same paths.
#[test]
fn a_spawned_worker_has_the_same_directories() {
    let folders = Folders::with(&["data/a"]);
    let dirs = json!([folders.grant("data", "/data", "ro")]);
    let tasks = json!([
        { "task": "read_file", "args": ["/data/a"], "dirs": dirs },
        { "task": "write_file", "args": ["/data/a", "x"], "dirs": dirs },
    ]);
    let records = plan(&json!({ "workers": 1, "spawn": true, "tasks": tasks }));
    assert_eq!((&records[0]["value"], &records[1]["code"]), (&json!("data/a"), &json!(1)), "{records:#?}");
}

/// Whatever the start method: the file, nothing beside it, and what its mode says.
#[test]
fn a_single_file_is_granted_alone() {
    for spawn in [false, true] {
        let folders = Folders::with(&["data/a", "data/beside"]);
        let file = |mode: &str| json!([folders.grant("data/a", "/etc/config", mode)]);
        let (read, write) = (file("ro"), file("rw"));
        let row =
            |task: &str, args: Value, files: &Value| json!({ "task": task, "args": args, "files": files });
        let tasks = [
            row("read_file", json!(["/etc/config"]), &read),
            row("list_dir", json!(["/etc"]), &read),
            row("read_file", json!(["/etc/../beside"]), &read),
            row("write_file", json!(["/etc/config", "x"]), &read),
            row("append_file", json!(["/etc/config", "!"]), &write),
            row("remove_file", json!(["/etc/config"]), &write),
            row("write_file", json!(["/etc/beside", "x"]), &write),
            row("read_file", json!(["/etc/config"]), &json!([])),
        ];
        let records = plan(&json!({ "workers": 1, "spawn": spawn, "tasks": tasks }));
        let codes: Vec<_> = records.iter().map(|record| record["code"].as_u64().expect("a code")).collect();
        assert_eq!(codes, [0, 0, 1, 1, 0, 1, 1, 1], "{records:#?}");
        assert_eq!((&records[0]["value"], &records[1]["value"]), (&json!("data/a"), &json!(["config"])));
        assert_eq!(folders.text("data/a"), "data/a!");
        assert_eq!(folders.all().len(), 3, "nothing was made");
    }
}
