//! The shape of a manifest as a JSON Schema, for editors. A test compares its keys with those that are read.

#![forbid(unsafe_code)]

use serde_json::{Map, Value, json};

/// The schema, as `wasmpool batch --schema` prints it.
#[must_use]
pub fn schema() -> Value {
    let mut properties = Map::new();
    properties.insert("batch".to_owned(), table("How the batch as a whole is run.", batch()));
    properties.insert("defaults".to_owned(), table("What every task may use and touch.", settings()));
    let mut task = table("A task, or many of them.", [task(), settings()].concat());
    task["required"] = json!(["name", "module"]);
    properties.insert(
        "task".to_owned(),
        json!({ "type": "array", "minItems": 1, "items": task, "description": "The tasks." }),
    );
    for (name, about, keys, required) in tables() {
        let mut entry = table(about, keys);
        if !required.is_empty() {
            entry["required"] = json!(required);
        }
        properties.insert(name.to_owned(), json!({ "type": "object", "additionalProperties": entry }));
    }
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "wasmpool batch",
        "type": "object",
        "additionalProperties": false,
        "required": ["task"],
        "properties": properties,
    })
}

/// A key, and what it takes.
type Key = (&'static str, Value);

fn table(about: &str, keys: Vec<Key>) -> Value {
    let properties: Map<String, Value> =
        keys.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
    json!({ "type": "object", "description": about, "additionalProperties": false, "properties": properties })
}

fn text(about: &str) -> Value {
    json!({ "type": "string", "description": about })
}

fn texts(about: &str) -> Value {
    json!({ "type": "array", "items": { "type": "string" }, "description": about })
}

fn number(about: &str, minimum: i64) -> Value {
    json!({ "type": "integer", "minimum": minimum, "description": about })
}

fn boolean(about: &str) -> Value {
    json!({ "type": "boolean", "description": about })
}

fn time(about: &str) -> Value {
    json!({ "type": "string", "description": about, "examples": ["300ms", "2s", "1m30s"] })
}

fn size(about: &str) -> Value {
    json!({ "type": ["string", "integer"], "description": about, "examples": ["64MiB", 65536] })
}

fn batch() -> Vec<Key> {
    vec![
        ("workers", number("Tasks that run at the same time; by default the CPUs that may be used.", 1)),
        (
            "halt",
            json!({
                "type": "string",
                "pattern": "^(soon|now),fail=[0-9]+%?$",
                "description": "When the batch gives up: after so many failures, or so many of a hundred.",
            }),
        ),
        (
            "memory_budget",
            size(
                "What the memory limits of running tasks add up to at most; by default 80 % of what there is.",
            ),
        ),
    ]
}

fn settings() -> Vec<Key> {
    let path = json!({
        "type": "object",
        "additionalProperties": false,
        "required": ["host", "mode"],
        "properties": {
            "host": text("The directory or file, from the manifest's folder on."),
            "guest": text("Where the guest sees it; by default as `host` is written."),
            "mode": json!({ "enum": ["ro", "rw"], "description": "Only read, or written too." }),
        },
    });
    vec![
        ("timeout", time("Wall-clock time of a task.")),
        ("cpu_time", time("CPU time of a task.")),
        ("fuel", number("Instructions of a task, about.", 1)),
        ("max_memory", size("Linear memory of a task; by default 1GiB.")),
        ("max_output", size("Standard output and error of a task together.")),
        ("grace_period", time("How long a task may go on that was asked to stop; by default 2s.")),
        ("init_timeout", time("How long a module's `#[init]` function may take; by default 60s.")),
        ("retries", number("How often a failed task is tried again; by default 0.", 0)),
        (
            "retry_on",
            texts(
                "After which endings: failed, exit, trap, limit, timeout, crash, deadlock, start; by default any.",
            ),
        ),
        ("retry_delay", time("Time before the second attempt, or \"0\"; by default 100ms.")),
        ("quarantine_after", number("How many workers it may kill before it is given up; by default 2.", 1)),
        (
            "sandbox",
            json!({
                "enum": sandbox_modes(),
                "description": "How much of the sandbox must be there; by default \"required\".",
            }),
        ),
        ("priority", json!({ "type": "integer", "description": "Higher starts first; by default 0." })),
        ("stdin", text("A file that the task reads as its standard input; may have places.")),
        ("argv0", text("What a WASI command sees as its own name.")),
        (
            "dirs",
            json!({ "type": "array", "items": path.clone(), "description": "Directories that a task may use." }),
        ),
        (
            "files",
            json!({ "type": "array", "items": path, "description": "Single files that a task may use, each in a folder of its own." }),
        ),
        (
            "nets",
            texts(
                "What a task may reach by the network: \"example.com:443\", \"udp:HOST:PORT\", \"tcp-listen:HOST:PORT\".",
            ),
        ),
        (
            "env",
            json!({
                "type": "object",
                "additionalProperties": { "type": ["string", "boolean"] },
                "description": "Environment variables: a text, or true for the value that is here.",
            }),
        ),
        ("env_files", texts("Files of environment variables, a line NAME=VALUE or NAME each.")),
        ("inherit_env", boolean("Every environment variable that is here.")),
        ("shared", texts("Names of queues, locks and the like that the task may open.")),
    ]
}

fn sandbox_modes() -> Vec<&'static str> {
    super::settings::SANDBOX_MODES.iter().map(|(name, _)| *name).collect()
}

fn task() -> Vec<Key> {
    let axis = json!({ "anyOf": [
        { "type": "array", "minItems": 1 },
        {
            "type": "object",
            "additionalProperties": false,
            "properties": {
                "glob": { "type": ["string", "array"], "items": { "type": "string" } },
                "from": { "type": "integer" },
                "to": { "type": "integer" },
            },
        },
    ] });
    vec![
        ("name", text("The task's name, another for each.")),
        (
            "module",
            text(
                "A component, core module, .wat file, or folder with a Cargo.toml, from the manifest's folder on.",
            ),
        ),
        ("task", text("The task or export to call; the only one, if there is one.")),
        ("args", json!({ "type": "array", "description": "Arguments by position; texts may have places." })),
        ("kwargs", json!({ "type": "object", "description": "Arguments by name; texts may have places." })),
        (
            "invoke",
            text("A call of a plain export with its arguments, such as \"add({}, 1)\"; may have places."),
        ),
        ("command", texts("The arguments of a WASI command; may have places.")),
        (
            "matrix",
            json!({
                "type": "object",
                "minProperties": 1,
                "additionalProperties": axis,
                "description": "A task for each combination of these: lists, files that match patterns, ranges of numbers.",
            }),
        ),
        ("from", text("A task for each line of this file: JSON, or for a command any text.")),
        ("starmap", boolean("Each line of `from` is an array of all arguments.")),
        ("after", texts("Tasks that must have succeeded before.")),
        ("group", text("The group that the task counts in.")),
        ("daemon", boolean("The task ends with the batch instead of being waited for.")),
        ("workers", number("How many of the tasks run at one time.", 1)),
    ]
}

/// The tables of named things: what one of them is, its keys, and which must be there.
fn tables() -> Vec<(&'static str, &'static str, Vec<Key>, Vec<&'static str>)> {
    let element = json!({ "enum": ["u8", "i32", "i64", "f64"], "description": "What it holds." });
    let initial = json!({ "type": "number", "description": "What it is at first; 0.0 for fractions." });
    vec![
        (
            "groups",
            "Tasks of which only so many run at one time.",
            vec![("max_parallel", number("How many.", 1))],
            vec!["max_parallel"],
        ),
        (
            "queues",
            "A bounded queue.",
            vec![
                ("capacity", number("Items; by default 1024.", 1)),
                ("message_bytes", size("Bytes of one item; by default 1MiB.")),
                ("bytes", size("Bytes of all items; by default 64MiB.")),
                ("deliveries", number("How often an item is delivered; by default 5.", 1)),
            ],
            Vec::new(),
        ),
        (
            "pipes",
            "Two ends, NAME.0 and NAME.1: what one sends, the other receives.",
            vec![
                ("capacity", number("Messages in each direction; by default 1024.", 1)),
                ("message_bytes", size("Bytes of one message; by default 1MiB.")),
                ("bytes", size("Bytes of all messages in one direction; by default 64MiB.")),
            ],
            Vec::new(),
        ),
        ("locks", "A lock.", Vec::new(), Vec::new()),
        ("rlocks", "A lock that its holder may take again.", Vec::new(), Vec::new()),
        ("semaphores", "A number of permits.", vec![("permits", number("How many.", 1))], vec!["permits"]),
        ("events", "A flag that can be waited for.", Vec::new(), Vec::new()),
        ("conditions", "A lock with a way to wait for a change.", Vec::new(), Vec::new()),
        ("barriers", "A meeting point.", vec![("parties", number("Of how many.", 1))], vec!["parties"]),
        ("values", "One number.", vec![("initial", initial)], Vec::new()),
        (
            "arrays",
            "A row of numbers.",
            vec![("type", element), ("length", number("How many.", 1))],
            vec!["type", "length"],
        ),
        ("dicts", "A small map.", Vec::new(), Vec::new()),
    ]
}
