//! `wasmpool help TOPIC`: texts that are made from the tables that the program itself reads.

#![forbid(unsafe_code)]

use clap::Command;
use serde_json::Value;
use wasmpool::batch::manifest::mistake::did_you_mean;
use wasmpool::batch::manifest::schema;
use wasmpool::batch::units::size_text;
use wasmpool::exit_code::{self, batch};
use wasmpool::{Limits, limits};

use crate::arguments::{self, Help};
use crate::console::Console;
use crate::failure::Failure;
use crate::help;
use crate::settings::Options;

/// Columns of a line.
const COLUMNS: usize = 80;

struct Topic {
    /// Its name, and others that mean it.
    names: &'static [&'static str],
    about: &'static str,
    text: fn() -> String,
}

const TOPICS: &[Topic] = &[
    Topic { names: &["exit-codes", "codes"], about: "how a task or a batch ended", text: exit_codes },
    Topic { names: &["manifest", "manifests"], about: "every key of a manifest for `batch`", text: manifest },
    Topic { names: &["grants"], about: "what a task may touch, and how it is said", text: grants },
    Topic { names: &["limits"], about: "what a task may use, with every default", text: limits_text },
    Topic {
        names: &["config", "environment"],
        about: "options in variables and in a config file, and what counts more",
        text: config,
    },
    Topic {
        names: &["joblog", "job-log", "resume"],
        about: "what is written down of a batch, and --resume",
        text: joblog,
    },
];

/// Explains a command or a topic.
///
/// # Errors
///
/// Code 2 for what is neither.
pub fn help(arguments: &Help, console: &Console) -> Result<u8, Failure> {
    let mut grammar = arguments::grammar();
    let Some(name) = &arguments.topic else {
        return console.print(format!("{}\n{}\n", grammar.render_help(), listed()));
    };
    if let Some(command) = grammar.find_subcommand_mut(name) {
        return console.print(format!("{}\n", command.render_long_help()));
    }
    match TOPICS.iter().find(|topic| topic.names.contains(&name.as_str())) {
        Some(topic) => console.print((topic.text)()),
        None => {
            let known = grammar.get_subcommands().map(Command::get_name);
            let hint = did_you_mean(name, known.chain(TOPICS.iter().flat_map(|topic| topic.names).copied()));
            let message =
                format!("there is no help on `{name}`{hint}\n\n{}\n{}", commands(&grammar), listed());
            Err(Failure::new(batch::USAGE, message.trim_end()))
        }
    }
}

/// What to say of a command that there is not.
pub fn unknown_command(grammar: &Command, name: &str) -> String {
    let hint = did_you_mean(name, grammar.get_subcommands().map(Command::get_name));
    format!("there is no command `{name}`{hint}\n\n{}", commands(grammar).trim_end())
}

fn commands(grammar: &Command) -> String {
    let names: Vec<&str> = grammar.get_subcommands().map(Command::get_name).collect();
    format!("Commands:\n{}", wrapped(2, &names.join(", ")))
}

fn listed() -> String {
    let rows = TOPICS.iter().map(|topic| row(topic.names[0], topic.about, 12));
    format!("Topics (`wasmpool help TOPIC`):\n{}", rows.collect::<String>())
}

fn exit_codes() -> String {
    let mut out =
        "A task ends with one code, which `wasmpool run` ends with and every record has:\n\n".to_owned();
    for code in exit_code::TABLE {
        out.push_str(&row(code.label, code.meaning, 9));
    }
    out.push_str("\n`map` and `batch` end with:\n\n");
    for (code, meaning) in help::batch_rows() {
        out.push_str(&row(&code.to_string(), meaning, 9));
    }
    out
}

fn manifest() -> String {
    let schema = schema::schema();
    let mut out = wrapped(
        0,
        "A manifest is a TOML file for `wasmpool batch`. Paths in it begin in its folder. `wasmpool batch --dry-run` shows what \
         would run, `wasmpool batch --schema` prints a JSON Schema for an editor.",
    );
    let properties = &schema["properties"];
    // Those that everybody needs first.
    let order = ["task", "defaults", "batch", "groups"];
    let others = properties.as_object().into_iter().flat_map(|tables| tables.keys().map(String::as_str));
    let tables: Vec<&str> = order.into_iter().chain(others.filter(|name| !order.contains(name))).collect();
    let of_defaults = &properties["defaults"]["properties"];
    for name in tables {
        let table = &properties[name];
        let (title, body) = match name {
            "task" => ("[[task]]".to_owned(), &table["items"]),
            "defaults" | "batch" => (format!("[{name}]"), table),
            _ => (format!("[{name}.NAME]"), &table["additionalProperties"]),
        };
        out.push_str(&format!("\n{title}\n"));
        out.push_str(&wrapped(2, text_of(body)));
        for (key, value) in body["properties"].as_object().into_iter().flatten() {
            if name == "task" && !of_defaults[key].is_null() {
                continue;
            }
            out.push_str(&row(key, &described(value), 18));
        }
        if name == "task" {
            out.push_str(&wrapped(2, "and every key of [defaults], which counts more here"));
        }
    }
    out
}

fn text_of(schema: &Value) -> &str {
    schema["description"].as_str().unwrap_or_default()
}

/// What a key is, with the words that it may be.
fn described(schema: &Value) -> String {
    let words: Vec<String> = schema["enum"].as_array().into_iter().flatten().map(Value::to_string).collect();
    match words.as_slice() {
        [] => text_of(schema).to_owned(),
        words => format!("{} ({})", text_of(schema), words.join(", ")),
    }
}

fn grants() -> String {
    let mut out = wrapped(
        0,
        "A task gets its arguments, and touches nothing else: no file, no environment variable, no network, no queue that is \
         not named. Each of these options names one thing; a manifest names it in [[task]] or [defaults].",
    );
    out.push('\n');
    out.push_str(&options_under(help::GRANTS));
    out.push_str("\nWhat tasks share is made for one command, and opened by its name:\n\n");
    out.push_str(&options_under(help::SHARED));
    out.push('\n');
    out.push_str(&wrapped(
        0,
        "Grants that come from a variable or a config file are said on standard error each time. `wasmpool batch --dry-run` \
         shows what each task could touch; host/SECURITY.md says what stands behind it.",
    ));
    out
}

/// The options of `map` with this heading, as the grammar has them.
fn options_under(heading: &str) -> String {
    let grammar = arguments::grammar();
    let map = grammar.find_subcommand("map").expect("`map` is a command");
    let mut out = String::new();
    for arg in map.get_arguments().filter(|arg| arg.get_help_heading() == Some(heading)) {
        let Some(long) = arg.get_long() else { continue };
        let values: Vec<&str> =
            arg.get_value_names().into_iter().flatten().map(|name| name.as_str()).collect();
        let is_flag = !arg.get_action().takes_values();
        let value = if is_flag { String::new() } else { format!(" {}", values.join(" ")) };
        out.push_str(&format!("  --{long}{value}\n"));
        let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
        out.push_str(&wrapped(6, &help));
    }
    out
}

fn limits_text() -> String {
    let Limits {
        timeout,
        cpu_time,
        fuel,
        memory_bytes,
        table_elements,
        instances,
        stack_bytes,
        output_bytes,
        streamed_output_bytes,
        argument_bytes,
        result_bytes,
        log_bytes,
        grace_period,
        init_timeout,
    } = Limits::default();
    let time = |time: Option<std::time::Duration>| {
        time.map_or_else(|| "none".to_owned(), |time| humantime::format_duration(time).to_string())
    };
    let number = |number: Option<u64>| number.map_or_else(|| "none".to_owned(), |number| number.to_string());
    let rows = [
        ("--timeout", "wall-clock time", time(timeout)),
        ("--cpu-time", "CPU time", time(cpu_time)),
        ("--fuel", "instructions, about", number(fuel)),
        ("--max-memory", "linear memory of all memories together", size_text(memory_bytes)),
        ("--max-stack", "WebAssembly stack", size_text(stack_bytes.into())),
        ("--max-output", "captured standard output and error together", size_text(output_bytes)),
        ("--max-output", "the same where it is streamed", number(streamed_output_bytes)),
        ("grace_period", "time to end in when asked to; in manifests", time(Some(grace_period))),
        ("--init-timeout", "time of a module's `#[init]` function", time(Some(init_timeout))),
        ("", "elements of all tables together", table_elements.to_string()),
        ("", "core instances", instances.to_string()),
        ("", "one argument", size_text(argument_bytes)),
        ("", "one result", size_text(result_bytes)),
        ("", "log records and progress reports", size_text(log_bytes)),
    ];
    let mut out = "What one task may use:\n\n".to_owned();
    for (option, what, default) in rows {
        out.push_str(&format!("  {option:14}{what:46}{default}\n"));
    }
    out.push_str("\nWhat a batch may use:\n\n");
    let percent = |percent: u64| format!("{percent} % of machine or cgroup");
    for (option, what, default) in [
        ("--workers", "tasks at one time", "the CPUs that may be used".to_owned()),
        ("--memory-budget", "what max_memory adds up to", percent(limits::MEMORY_BUDGET_PERCENT)),
        ("--pool-memory", "memory of all workers", percent(limits::POOL_MEMORY_PERCENT)),
        ("--cache-size", "compiled modules on the disk", size_text(limits::CACHE_BYTES)),
        ("", "tasks that matrices make", limits::MATRIX_TASKS_MAX.to_string()),
        ("", "bytes of a manifest", limits::MANIFEST_BYTES_MAX.to_string()),
        ("", "objects that a task shares", limits::GRANTS_MAX.to_string()),
        ("", "daemons", limits::DAEMONS_MAX.to_string()),
    ] {
        out.push_str(&format!("  {option:17}{what:30}{default}\n"));
    }
    out.push('\n');
    out.push_str(&wrapped(
        0,
        "A task that meets a limit ends with a code from 221 on: `wasmpool help exit-codes`.",
    ));
    out
}

/// How options stand elsewhere, without the list of them.
pub fn config_rules() -> String {
    let rules = [
        "Every option may stand in a variable, --max-memory 64MiB as WASMPOOL_MAX_MEMORY=64MiB, but for those that belong to one \
         call: --task, --invoke, --schema. An empty variable says nothing. A flag is on with 1 or true, off with 0 or false. \
         The values of an option that may be repeated stand between semicolons: WASMPOOL_ONLY='resize;index'.",
        "A config file is read from $XDG_CONFIG_HOME/wasmpool/config.toml, or ~/.config/wasmpool/config.toml, or from the file \
         that --config or WASMPOOL_CONFIG names; named as an empty text, there is none. No file of the current folder is read by \
         itself: it may be somebody else's. Keys are the options with `_` for `-`; at the top they are for every command that has \
         them, in a section for one:",
    ];
    let example = "    max_memory = \"256MiB\"\n    color = \"never\"\n\n    [map]\n    retries = 2\n    wasm_feature = [\"memory64\"]\n";
    let order = [
        "What counts more: what is typed, then a variable, then a manifest (of `batch`; what a [[task]] says itself counts more \
         than any option, but for --sandbox), then the config file, there a section before the top, then what is built in. An option that \
         may be repeated is taken from one place only. What does not go with a typed option is left out.",
        "With -v everything that came from elsewhere is said; what lets a task touch something (--dir, --file, --net, --env, \
         --env-file, --inherit-env) is said each time, unless -q.",
    ];
    let rules = rules.map(|text| wrapped(0, text)).join("\n");
    let order = order.map(|text| wrapped(0, text)).join("\n");
    format!("{rules}\n{example}\n{order}")
}

fn config() -> String {
    let options = Options::of(&arguments::grammar());
    let mut names: Vec<(String, Vec<&str>)> = Vec::new();
    for of in options.commands() {
        for option in &of.options {
            match names.iter_mut().find(|(known, _)| *known == option.variable()) {
                Some((_, commands)) => commands.push(&of.command),
                None => names.push((option.variable(), vec![&of.command])),
            }
        }
    }
    names.sort();
    let everywhere = options.commands().count();
    let mut out = format!("{}\nVariables, and the commands that have the option:\n\n", config_rules());
    for (name, commands) in names {
        let commands = if commands.len() == everywhere { "all".to_owned() } else { commands.join(", ") };
        out.push_str(&row(&name, &commands, 32));
    }
    out
}

fn joblog() -> String {
    let mut out = wrapped(
        0,
        "With --joblog FILE, `map` and `batch` write down each start and each end of a task before its result is printed: one \
         line of JSON each, an end with the fields of --format jsonl. With --resume the same line goes on where it stopped, \
         however it stopped. A task is known by its content: module, task, arguments, command line, standard input, environment and \
         grants; not by its place, and not by its limits. What is finished does not run again; what was cut off or stopped does. \
         `wasmpool replay FILE N` runs one task of a log once more.",
    );
    out.push('\n');
    out.push_str(&options_under(help::JOBLOG));
    out
}

/// A word, and what it means beside it.
fn row(word: &str, text: &str, width: usize) -> String {
    let text = wrapped(width + 2, text);
    let indented = format!("  {word:width$}");
    match text.strip_prefix(&" ".repeat(width + 2)) {
        Some(rest) if word.len() < width => format!("{indented}{rest}"),
        _ => format!("{}\n{text}", indented.trim_end()),
    }
}

/// The text in lines that fit a terminal, moved to the right.
fn wrapped(indent: usize, text: &str) -> String {
    let mut out = String::new();
    let mut line = String::new();
    for word in text.split_whitespace() {
        if !line.is_empty() && indent + line.chars().count() + 1 + word.chars().count() > COLUMNS {
            out.push_str(&format!("{:indent$}{line}\n", ""));
            line.clear();
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    if !line.is_empty() {
        out.push_str(&format!("{:indent$}{line}\n", ""));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_topic_fits_a_terminal() {
        for topic in TOPICS {
            for line in (topic.text)().lines() {
                assert!(line.chars().count() <= COLUMNS || !line.contains(' '), "{}: {line}", topic.names[0]);
            }
        }
    }

    #[test]
    fn the_topics_have_every_row_of_their_tables() {
        let codes = exit_codes();
        for code in exit_code::TABLE {
            assert!(codes.contains(&row(code.label, code.meaning, 9)), "{}", code.label);
        }
        let (manifest, schema) = (manifest(), schema::schema());
        for key in schema["properties"]["defaults"]["properties"].as_object().unwrap().keys() {
            assert!(manifest.contains(&format!("\n  {key}")), "{key}");
        }
        for table in schema["properties"].as_object().unwrap().keys() {
            assert!(manifest.contains(&format!("[{table}")), "{table}");
        }
    }
}
