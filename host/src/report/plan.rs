//! A plan as it is shown before anything runs: what each task is, may use and may touch.

#![forbid(unsafe_code)]

use serde_json::{Value, json};

use super::terminal::{one_line, printable};
use crate::batch::call::Arguments;
use crate::batch::plan::instances::{Instance, InstanceCall};
use crate::batch::plan::{Call, Entry, Plan};
use crate::batch::units::size_text;
use crate::limits::Limits;
use crate::policy::SandboxMode;

/// Tasks of one entry that are shown to a person.
pub const TASKS_SHOWN_MAX: u64 = 10;

/// What the tasks of an entry may touch, as it is shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Grants {
    /// Directories.
    pub dirs: Vec<DirShown>,
    /// Single files.
    pub files: Vec<DirShown>,
    /// What may be reached by the network.
    pub nets: Vec<String>,
    /// Environment variables, `NAME=VALUE`, or `NAME` with the value that it has here.
    pub env: Vec<String>,
    /// Files of more of them.
    pub env_files: Vec<String>,
    /// Whether every variable that is here is passed on.
    pub inherit_env: bool,
    /// Queues, locks and the like.
    pub objects: Vec<String>,
}

/// A granted directory or file, as it is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirShown {
    /// Its path.
    pub host: String,
    /// Where the guest sees it.
    pub guest: String,
    /// Whether it is only read.
    pub is_read_only: bool,
}

/// An entry with everything that belongs to it.
#[derive(Clone, Copy, Debug)]
pub struct Resolved<'a> {
    /// The plan.
    pub plan: &'a Plan,
    /// One of its entries.
    pub entry: &'a Entry,
    /// The SHA-256 of its module.
    pub digest: &'a str,
    /// What its tasks may use.
    pub limits: &'a Limits,
    /// What its tasks may touch.
    pub grants: &'a Grants,
}

/// The entry for a person; its tasks follow.
#[must_use]
pub fn text(resolved: &Resolved<'_>) -> String {
    let Resolved { plan, entry, digest, .. } = resolved;
    let mut out = format!("{}\n", entry.name);
    let what = match &entry.call {
        Call::Task { name, .. } => format!("task {name} of {}", entry.module.value),
        Call::Command { .. } => format!("command {}", entry.module.value),
        Call::Invoke { name, .. } => format!("export {name} of {}", entry.module.value),
    };
    line(&mut out, "runs", &format!("{what}   (sha256 {})", &digest[..digest.len().min(12)]));
    let after: Vec<&str> = entry.after.iter().map(|before| plan.entries[*before].name.as_str()).collect();
    line(&mut out, "after", &after.join(", "));
    let mut how = Vec::new();
    if let Some(group) = entry.group {
        let group = &plan.groups[group];
        how.push(format!("group {} (at most {} at a time)", group.name.value, group.max_parallel));
    }
    if let Some(workers) = entry.workers {
        how.push(format!("at most {workers} at a time"));
    }
    if entry.priority != 0 {
        how.push(format!("priority {}", entry.priority));
    }
    if entry.daemon {
        how.push("ends with the batch".to_owned());
    }
    if let Some(retries) = entry.bounds.retries.filter(|retries| *retries > 0) {
        let times = if retries == 1 { "once".to_owned() } else { format!("up to {retries} times") };
        let on = entry.bounds.retry_on.map_or(String::new(), |classes| format!(" after {classes}"));
        let after = entry
            .bounds
            .retry_delay
            .map_or(String::new(), |delay| format!(", at first after {}", humantime::format_duration(delay)));
        how.push(format!("tried again {times}{on}{after}"));
    }
    if let Some(deaths) = entry.bounds.quarantine_after {
        how.push(format!("given up after {deaths} dead workers"));
    }
    match entry.bounds.sandbox {
        Some(SandboxMode::Off) => how.push("WITHOUT A SANDBOX".to_owned()),
        Some(SandboxMode::BestEffort) => how.push("with as much of the sandbox as there is".to_owned()),
        Some(SandboxMode::Required) | None => {}
    }
    line(&mut out, "how", &how.join(", "));
    line(&mut out, "limits", &limits_text(resolved.limits));
    line(&mut out, "may touch", &grants_text(resolved.grants));
    if let Some(tasks) = entry.tasks() {
        let plural = if tasks == 1 { "" } else { "s" };
        line(&mut out, "is", &format!("{tasks} task{plural}"));
    } else {
        line(&mut out, "is", "a task for each line of its file");
    }
    printable(&out)
}

fn line(out: &mut String, title: &str, text: &str) {
    if !text.is_empty() {
        out.push_str(&format!("  {title:9}  {text}\n"));
    }
}

fn limits_text(limits: &Limits) -> String {
    let mut texts = vec![format!("memory {}", size_text(limits.memory_bytes))];
    if let Some(time) = limits.timeout {
        texts.push(format!("time {}", humantime::format_duration(time)));
    }
    if let Some(time) = limits.cpu_time {
        texts.push(format!("CPU time {}", humantime::format_duration(time)));
    }
    if let Some(fuel) = limits.fuel {
        texts.push(format!("fuel {fuel}"));
    }
    texts.push(format!("output {}", size_text(limits.output_bytes)));
    texts.push(format!("grace period {}", humantime::format_duration(limits.grace_period)));
    texts.push(format!("initialisation {}", humantime::format_duration(limits.init_timeout)));
    texts.join(", ")
}

fn grants_text(grants: &Grants) -> String {
    let path = |what: &str, path: &DirShown| {
        let mode = if path.is_read_only { "read only" } else { "read and write" };
        format!("{what} {} as {} ({mode})", path.host, path.guest)
    };
    let mut texts: Vec<String> = grants.dirs.iter().map(|dir| path("directory", dir)).collect();
    texts.extend(grants.files.iter().map(|file| path("file", file)));
    texts.extend(grants.nets.iter().map(|net| format!("network {net}")));
    if grants.inherit_env {
        texts.push("every environment variable".to_owned());
    }
    texts.extend(grants.env_files.iter().map(|file| format!("variables of {file}")));
    texts.extend(grants.env.iter().map(|variable| format!("variable {variable}")));
    texts.extend(grants.objects.iter().map(|object| format!("shared {object}")));
    if texts.is_empty() { "nothing".to_owned() } else { texts.join("\n             ") }
}

/// One task for a person: a line.
#[must_use]
pub fn task_text(task: &Instance) -> String {
    let called = match &task.call {
        Ok(InstanceCall::Arguments(Arguments::Json(json))) => json.clone(),
        Ok(InstanceCall::Arguments(Arguments::Raw(bytes))) => format!("{} bytes", bytes.len()),
        Ok(InstanceCall::Argv(argv)) => format!("{argv:?}"),
        Ok(InstanceCall::Expression(call)) => call.clone(),
        Err(bad) => bad.to_string(),
    };
    let stdin = task.stdin.as_ref().map_or(String::new(), |file| format!(" <{file}"));
    format!("    {} {}{}\n", one_line(&task.name), one_line(&called), one_line(&stdin))
}

/// One task for a program: a line of JSON. Fields are added, never renamed.
#[must_use]
pub fn task_json(resolved: &Resolved<'_>, task: &Instance) -> String {
    let Resolved { plan, entry, digest, limits, grants } = resolved;
    let after: Vec<&str> = entry.after.iter().map(|before| plan.entries[*before].name.as_str()).collect();
    let mut line = json!({
        "name": task.name,
        "entry": entry.name,
        "module": entry.module.value,
        "sha256": digest,
        "after": after,
        "group": entry.group.map(|group| plan.groups[group].name.value.as_str()),
        "priority": entry.priority,
        "workers": entry.workers,
        "daemon": entry.daemon,
        "retries": entry.bounds.retries.unwrap_or(0),
        "retry_on": entry.bounds.retry_on.map(|classes| classes.to_string()),
        "retry_delay_ms": entry.bounds.retry_delay.map(milliseconds),
        "quarantine_after": entry.bounds.quarantine_after,
        "sandbox": sandbox_label(entry.bounds.sandbox.unwrap_or_default()),
        "stdin": task.stdin,
        "limits": limits_json(limits),
        "grants": grants_json(grants),
    });
    match &entry.call {
        Call::Task { name, .. } => line["task"] = json!(name),
        Call::Command { .. } => line["command"] = json!(true),
        Call::Invoke { name, .. } => line["export"] = json!(name),
    }
    match &task.call {
        Ok(InstanceCall::Arguments(Arguments::Json(text))) => {
            line["args"] = serde_json::from_str(text).unwrap_or(Value::Null);
        }
        Ok(InstanceCall::Arguments(Arguments::Raw(bytes))) => line["args_bytes"] = json!(bytes.len()),
        Ok(InstanceCall::Argv(argv)) => line["argv"] = json!(argv),
        Ok(InstanceCall::Expression(call)) => line["invoke"] = json!(call),
        Err(bad) => line["error"] = json!(bad.to_string()),
    }
    format!("{line}\n")
}

fn milliseconds(time: std::time::Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

fn sandbox_label(mode: SandboxMode) -> &'static str {
    match mode {
        SandboxMode::Required => "required",
        SandboxMode::BestEffort => "best-effort",
        SandboxMode::Off => "off",
    }
}

fn limits_json(limits: &Limits) -> Value {
    json!({
        "timeout_ms": limits.timeout.map(milliseconds),
        "cpu_time_ms": limits.cpu_time.map(milliseconds),
        "fuel": limits.fuel,
        "memory_bytes": limits.memory_bytes,
        "output_bytes": limits.output_bytes,
        "grace_period_ms": milliseconds(limits.grace_period),
        "init_timeout_ms": milliseconds(limits.init_timeout),
    })
}

fn grants_json(grants: &Grants) -> Value {
    let dir = |dir: &DirShown| json!({ "host": dir.host, "guest": dir.guest, "mode": if dir.is_read_only { "ro" } else { "rw" } });
    json!({
        "dirs": grants.dirs.iter().map(dir).collect::<Vec<_>>(),
        "files": grants.files.iter().map(dir).collect::<Vec<_>>(),
        "nets": grants.nets,
        "env": grants.env,
        "env_files": grants.env_files,
        "inherit_env": grants.inherit_env,
        "shared": grants.objects,
    })
}
