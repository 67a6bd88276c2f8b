//! Plans of small manifests, and the mistakes that people make.

use std::path::PathBuf;

use serde_json::{Value, json};

use super::instances::{Instance, InstanceCall, Instances, source};
use super::select::Select;
use super::*;
use crate::batch::call::Arguments;
use crate::batch::manifest::Manifest;
use crate::module_info::{ExportInfo, ModuleKind, ParamInfo, TaskInfo};
use crate::outcome::Encoding;
use crate::policy::SandboxMode;

/// A machine with two modules and three files.
struct Small {
    squares: ModuleInfo,
    tool: ModuleInfo,
}

const FILES: &[&str] = &["in/a.txt", "in/b,c.txt", "lines.txt"];

impl Small {
    fn new() -> Self {
        let param = |name: &str, default: Option<&str>| ParamInfo {
            name: name.to_owned(),
            ty: "i64".to_owned(),
            optional: default.is_some(),
            default: default.map(str::to_owned),
        };
        let task = |name: &str, params, args| TaskInfo {
            name: name.to_owned(),
            export: name.to_owned(),
            doc: String::new(),
            params,
            returns: "i64".to_owned(),
            args,
            result: Encoding::Json,
        };
        let squares = ModuleInfo {
            kind: ModuleKind::Component,
            is_command: false,
            is_reactor: false,
            is_composed: false,
            tasks: vec![
                task("square", vec![param("n", None)], Encoding::Json),
                task("divide", vec![param("a", None), param("b", Some("1"))], Encoding::Json),
                task("hash", vec![param("data", None)], Encoding::Raw),
            ],
            exports: vec![ExportInfo {
                name: "add".to_owned(),
                signature: "func (i32, i32) -> i32".to_owned(),
            }],
            imports: Vec::new(),
        };
        let tool = ModuleInfo { is_command: true, tasks: Vec::new(), exports: Vec::new(), ..squares.clone() };
        Self { squares, tool }
    }
}

impl World for Small {
    fn module(&self, path: &str) -> Option<&ModuleInfo> {
        match path {
            "squares.wasm" => Some(&self.squares),
            "tool.wasm" => Some(&self.tool),
            _ => None,
        }
    }

    fn files(&self, pattern: &str) -> Result<Vec<String>, String> {
        let pattern = glob::Pattern::new(pattern).map_err(|error| error.msg.to_owned())?;
        Ok(FILES.iter().filter(|file| pattern.matches(file)).map(|&file| file.to_owned()).collect())
    }

    fn file(&self, path: &str) -> Result<(), String> {
        if FILES.contains(&path) { Ok(()) } else { Err("No such file or directory (os error 2)".to_owned()) }
    }
}

fn plan(text: &str) -> Result<Plan, Mistakes> {
    let manifest = Manifest::parse(text)?;
    resolve(&manifest, &Small::new(), Bounds::default())
}

fn tasks(text: &str, lines: &'static str, select: Select) -> Vec<Instance> {
    let plan = plan(text).unwrap_or_else(|mistakes| panic!("{}", mistakes.render("m", text)));
    let select = Arc::new(select);
    let open = |_: &str| Ok(source(lines.as_bytes(), 100));
    let mut tasks = Vec::new();
    for entry in &plan.entries {
        let mut instances = Instances::new(entry, &select, &open).unwrap();
        while let Some(instance) = instances.next_task().unwrap() {
            tasks.push(instance);
        }
    }
    tasks
}

/// Names and what is called, of a manifest with one task.
fn calls(keys: &str, lines: &'static str) -> Vec<(String, Value)> {
    let text = format!("[[task]]\nname = \"t\"\n{keys}");
    let called = |task: Instance| {
        let call = match task.call {
            Ok(InstanceCall::Arguments(Arguments::Json(text))) => serde_json::from_str(&text).unwrap(),
            Ok(InstanceCall::Arguments(Arguments::Raw(bytes))) => {
                json!({ "raw": String::from_utf8_lossy(&bytes) })
            }
            Ok(InstanceCall::Argv(argv)) => json!(argv),
            Ok(InstanceCall::Expression(call)) => json!(call),
            Err(bad) => json!({ "bad": bad.to_string() }),
        };
        (task.name, call)
    };
    tasks(&text, lines, Select::default()).into_iter().map(called).collect()
}

fn expect(keys: &str, lines: &'static str, expected: &[(&str, Value)]) {
    let expected: Vec<(String, Value)> =
        expected.iter().map(|(name, call)| ((*name).to_owned(), call.clone())).collect();
    assert_eq!(calls(keys, lines), expected, "{keys}");
}

#[test]
fn a_task_gets_its_arguments() {
    expect("module = 'squares.wasm'\ntask = 'square'\nargs = [3]", "", &[("t", json!([3]))]);
    let by_name = "module = 'squares.wasm'\ntask = 'divide'\nargs = [6]\nkwargs = { b = 2.5 }";
    expect(by_name, "", &[("t", json!({ "args": [6], "kwargs": { "b": 2.5 } }))]);
    expect("module = 'squares.wasm'\ntask = 'add'\nargs = [1, '{x}']", "", &[("t", json!([1, "{x}"]))]);
    expect("module = 'squares.wasm'\ntask = 'hash'\nargs = ['abc']", "", &[("t", json!({ "raw": "abc" }))]);
    expect(
        "module = 'dir/../tool.wasm'\n".replace("dir/../", "").as_str(),
        "",
        &[("t", json!(["tool.wasm"]))],
    );
    expect("module = 'tool.wasm'\ncommand = ['-v']\nargv0 = 'x'", "", &[("t", json!(["x", "-v"]))]);
}

#[test]
fn a_matrix_makes_a_task_of_each_combination_the_last_axis_changing_fastest() {
    let keys = "module = 'squares.wasm'\ntask = 'divide'\nargs = ['{a}', '{b}']\n\
                matrix = { a = [10, 'x'], b = { from = 1, to = 2 } }";
    let expected = [
        ("t(10,1)", json!([10, 1])),
        ("t(10,2)", json!([10, 2])),
        ("t(x,1)", json!(["x", 1])),
        ("t(x,2)", json!(["x", 2])),
    ];
    expect(keys, "", &expected);
}

#[test]
fn files_are_an_axis_and_their_parts_go_into_texts() {
    let keys =
        "module = 'tool.wasm'\ncommand = ['{file}', 'out/{file/.}-{#}']\nmatrix.file.glob = 'in/*.txt'";
    let expected = [
        ("t(in/a.txt)", json!(["tool.wasm", "in/a.txt", "out/a-1"])),
        ("t(in/b,c.txt)", json!(["tool.wasm", "in/b,c.txt", "out/b,c-2"])),
    ];
    expect(keys, "", &expected);
    // With two axes, a comma could be taken for theirs.
    let keys = "module = 'tool.wasm'\ncommand = ['{file}']\nmatrix = { file = { glob = ['in/*', 'in/a*'] }, n = [1] }";
    expect(
        keys,
        "",
        &[("t#1", json!(["tool.wasm", "in/a.txt"])), ("t#2", json!(["tool.wasm", "in/b,c.txt"]))],
    );
}

#[test]
fn a_file_makes_a_task_of_each_line() {
    let from = "from = 'lines.txt'";
    let square = format!("module = 'squares.wasm'\ntask = 'square'\n{from}");
    let bad = json!({ "bad": "lines.txt:3: not JSON: expected value at column 1; in JSON Lines a text stands in quotes" });
    expect(&square, "1\n\nx\n", &[("t#1", json!([1])), ("t#2", bad)]);
    let spread = format!("module = 'squares.wasm'\ntask = 'divide'\nstarmap = true\n{from}");
    expect(&spread, "[6, 3]\n", &[("t#1", json!([6, 3]))]);
    let command = format!("module = 'tool.wasm'\ncommand = ['{{}}', '{{#}}']\n{from}");
    expect(
        &command,
        "a b\n\n",
        &[("t#1", json!(["tool.wasm", "a b", "1"])), ("t#2", json!(["tool.wasm", "", "2"]))],
    );
}

#[test]
fn a_call_of_an_export_has_places_for_single_values() {
    let add = |keys: &str| format!("module = 'squares.wasm'\ninvoke = 'add({{n}}, 1)'\n{keys}");
    let expected = [("t(2)", json!("add(2, 1)")), ("t(-3)", json!("add(-3, 1)"))];
    expect(&add("matrix.n = [2, -3]"), "", &expected);
    expect("module = 'squares.wasm'\ninvoke = 'add(1, 2)'", "", &[("t", json!("add(1, 2)"))]);
    let bad = json!({ "bad": "lines.txt:2: `1, 2` is no single value: a text stands between quotes, as in --invoke 'greet(\"{}\")'" });
    let lines = "module = 'squares.wasm'\ninvoke = 'add({}, 1)'\nfrom = 'lines.txt'";
    expect(lines, "7\n1, 2\n", &[("t#1", json!("add(7, 1)")), ("t#2", bad)]);
    for (keys, says) in [
        ("invoke = 'add'", "is no call"),
        ("invoke = 'ad(1)'", "did you mean `add`"),
        ("invoke = 'add(1)'\ntask = 'add'", "must go"),
        ("invoke = 'add(1)'\nargs = [1]", "must go"),
        ("invoke = 'add(1)'\ncommand = []", "must go"),
        ("invoke = 'add(1)'\nfrom = 'lines.txt'", "write `{}` there"),
        ("invoke = 'add({m})'\nmatrix.n = [1]", "no axis `m`"),
    ] {
        let text = format!("[[task]]\nname = 't'\nmodule = 'squares.wasm'\n{keys}");
        let mistakes = plan(&text).unwrap_err().to_string();
        assert!(mistakes.contains(says), "{keys}: {mistakes}");
    }
}

#[test]
fn each_end_of_a_pipe_belongs_to_one_task() {
    let plan_of = |keys: [&str; 2]| {
        let task =
            |(name, keys): (&str, &str)| format!("[[task]]\nname = '{name}'\nmodule = 'tool.wasm'\n{keys}\n");
        plan(&format!("[pipes.talk]\n{}{}", task(("a", keys[0])), task(("b", keys[1]))))
    };
    assert!(plan_of(["shared = ['talk.0']", "shared = ['talk.1']"]).is_ok());
    for (keys, says) in [
        (["shared = ['talk']", ""], "one task `talk.0`, another one `talk.1`"),
        (["shared = ['talk.0']", ""], "no task may open `talk.1`"),
        (["shared = ['talk.0', 'talk.1']", "shared = ['talk.1']"], "belongs to one task"),
        (
            ["shared = ['talk.0']\nmatrix.n = [1, 2]\ncommand = ['{n}']", "shared = ['talk.1']"],
            "belongs to one task",
        ),
        (["shared = ['talk.0']", "shared = ['talk.2']"], "did you mean"),
    ] {
        let mistakes = plan_of(keys).unwrap_err().to_string();
        assert!(mistakes.contains(says), "{keys:?}: {mistakes}");
    }
}

#[test]
fn what_was_typed_about_the_sandbox_counts_more_than_what_a_task_says() {
    let text = "[defaults]\nsandbox = 'best-effort'\nretry_delay = '0'\nquarantine_after = 3\n\
                [[task]]\nname = 'a'\nmodule = 'tool.wasm'\nsandbox = 'off'\nretry_delay = '2s'\n\
                [[task]]\nname = 'b'\nmodule = 'tool.wasm'";
    let modes = |typed| {
        let typed = Bounds { sandbox: typed, ..Bounds::default() };
        let plan = resolve(&Manifest::parse(text).unwrap(), &Small::new(), typed).unwrap();
        plan.entries.iter().map(|entry| entry.bounds.sandbox.unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(modes(None), [SandboxMode::Off, SandboxMode::BestEffort]);
    assert_eq!(modes(Some(SandboxMode::Required)), [SandboxMode::Required; 2]);
    let plan = plan(text).unwrap();
    let delays: Vec<u64> =
        plan.entries.iter().map(|entry| entry.bounds.retry_delay.unwrap().as_secs()).collect();
    assert_eq!(delays, [2, 0]);
    assert_eq!(plan.entries[0].bounds.quarantine_after, Some(3));
}

#[test]
fn what_a_task_says_counts_more_than_the_command_line_and_that_more_than_defaults() {
    let text = "[defaults]\ntimeout = '1s'\nfuel = 1\nmax_memory = 1\n\
                [[task]]\nname = 't'\nmodule = 'tool.wasm'\ntimeout = '3s'";
    let typed =
        Bounds { timeout: Some(std::time::Duration::from_secs(2)), fuel: Some(2), ..Bounds::default() };
    let plan = resolve(&Manifest::parse(text).unwrap(), &Small::new(), typed).unwrap();
    let bounds = plan.entries[0].bounds;
    let seconds = bounds.timeout.map(|time| time.as_secs());
    assert_eq!((seconds, bounds.fuel, bounds.max_memory), (Some(3), Some(2), Some(1)));
}

#[test]
fn a_task_may_touch_what_it_and_the_defaults_name() {
    let text = "[queues.a]\n[locks.b]\n\
                [defaults]\nshared = ['a']\ndirs = [{ host = 'x', mode = 'ro' }]\n\
                [[task]]\nname = 't'\nmodule = 'tool.wasm'\nshared = ['b', 'a']\ndirs = [{ host = 'y', guest = '/y', mode = 'rw' }]\n\
                env = { A = '1' }";
    let plan = plan(text).unwrap();
    let grants = &plan.entries[0].grants;
    let names = |names: &[At<String>]| names.iter().map(|name| name.value.clone()).collect::<Vec<_>>();
    assert_eq!(names(&grants.shared), ["b", "a"]);
    let guests: Vec<&str> = grants.dirs.iter().map(|dir| dir.value.guest.as_str()).collect();
    assert_eq!(guests, ["x", "/y"]);
    assert_eq!(grants.env[0].1.as_deref(), Some("1"));
}

#[test]
fn tasks_are_selected_one_by_one() {
    let text = "[[task]]\nname = 't'\nmodule = 'squares.wasm'\ntask = 'square'\nargs = ['{n}']\n\
                matrix.n = { from = 1, to = 30 }";
    let select = Select::new(&["t(?)".to_owned()], &["t([1-7])".to_owned()]).unwrap();
    let names: Vec<String> = tasks(text, "", select).into_iter().map(|task| task.name).collect();
    assert_eq!(names, ["t(8)", "t(9)"]);
}

#[test]
fn ten_million_combinations_are_counted_and_not_made() {
    let text = |last: u32| {
        format!(
            "[[task]]\nname = 't'\nmodule = 'squares.wasm'\ntask = 'divide'\nargs = ['{{a}}', '{{b}}']\n\
             matrix = {{ a = {{ from = 1, to = 10 }}, b = {{ from = 1, to = {last} }} }}"
        )
    };
    assert_eq!(plan(&text(1_000_000)).unwrap().entries[0].tasks(), Some(10_000_000));
    let mistakes = plan(&text(1_000_001)).unwrap_err();
    assert!(mistakes.to_string().contains("more than 10000000 tasks"), "{mistakes}");
}

#[test]
fn daemons_are_few_and_bound_by_nothing() {
    let task = |keys: &str| format!("[[task]]\nname = 'd'\nmodule = 'tool.wasm'\ndaemon = true\n{keys}\n");
    assert!(plan(&task("matrix.n = { from = 1, to = 64 }\ncommand = ['{n}']")).is_ok());
    for wrong in [
        "matrix.n = { from = 1, to = 65 }\ncommand = ['{n}']",
        "from = 'lines.txt'\ncommand = ['{}']",
        "workers = 1",
        "[[task]]\nname = 't'\nmodule = 'tool.wasm'\nafter = ['d']",
    ] {
        assert!(plan(&task(wrong)).unwrap_err().to_string().contains("daemon"), "{wrong}");
    }
}

/// Each file of `plan/tests/mistakes` is a manifest; beside it stands what is said about it. After a change that is meant
/// to be one, run it with WASMPOOL_WRITE_EXPECTED=1, and read what it wrote.
#[test]
fn mistakes_are_told_with_their_place_and_what_would_be_right() {
    let folder = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/src/batch/plan/tests/mistakes"));
    let mut count = 0;
    for entry in std::fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "toml") {
            continue;
        }
        count += 1;
        let text = std::fs::read_to_string(&path).unwrap();
        let said = plan(&text).expect_err("it has a mistake").render("batch.toml", &text);
        let expected = path.with_extension("txt");
        if std::env::var_os("WASMPOOL_WRITE_EXPECTED").is_some() {
            std::fs::write(&expected, &said).unwrap();
        }
        let expected = std::fs::read_to_string(&expected).unwrap_or_default();
        assert_eq!(said, expected, "{}", path.display());
    }
    assert!(count >= 10, "{count}");
}
