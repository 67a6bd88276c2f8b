//! What an entry calls, checked against what its module offers.

#![forbid(unsafe_code)]

use serde_json::Value;

use super::inputs::Inputs;
use super::{World, places};
use crate::batch::call::{CallMaker, JsonText};
use crate::batch::manifest::mistake::{At, Mistake, did_you_mean};
use crate::batch::manifest::settings::Settings;
use crate::batch::manifest::task::{CallEntry, TaskEntry};
use crate::module_info::{ModuleInfo, TaskInfo};
use crate::outcome::Encoding;

/// What is called.
#[derive(Clone, Debug)]
pub enum Call {
    /// A task, or a plain export.
    Task {
        /// Its name.
        name: String,
        /// Whether it takes the bytes of one text instead of JSON.
        is_raw: bool,
        /// Arguments by position.
        args: Vec<Value>,
        /// Arguments by name.
        kwargs: Vec<(String, Value)>,
        /// Makes the calls of the lines of a file.
        of_lines: Box<CallMaker>,
    },
    /// A plain export, with its arguments in the call.
    Invoke {
        /// Its name.
        name: String,
        /// The call, with places.
        expression: String,
    },
    /// A WASI command.
    Command {
        /// What it sees as its own name.
        argv0: String,
        /// Its other arguments.
        argv: Vec<String>,
    },
}

/// Finds what the entry calls; `None` when there is a mistake, or a module that could not be loaded.
pub(super) fn resolve(
    task: &TaskEntry,
    defaults: &Settings,
    world: &dyn World,
    inputs: &Inputs,
    mistakes: &mut Vec<Mistake>,
) -> Option<Call> {
    let module = world.module(&task.module.value)?;
    let before = mistakes.len();
    let call = match &task.call {
        CallEntry::Invoke(expression) => invoke(task, module, inputs, expression, mistakes),
        CallEntry::Command(argv) => command(task, defaults, module, inputs, argv, mistakes),
        CallEntry::Task { name, args, kwargs } => {
            let names_nothing = name.is_none() && args.is_none() && kwargs.is_empty();
            if names_nothing && module.is_command {
                let argv = At::new(Vec::new(), task.span.clone());
                command(task, defaults, module, inputs, &argv, mistakes)
            } else {
                let args = args.as_ref();
                function(task, module, inputs, name.as_ref(), args, kwargs, mistakes)
            }
        }
    };
    call.filter(|_| mistakes.len() == before)
}

fn command(
    task: &TaskEntry,
    defaults: &Settings,
    module: &ModuleInfo,
    inputs: &Inputs,
    argv: &At<Vec<At<String>>>,
    mistakes: &mut Vec<Mistake>,
) -> Option<Call> {
    if !module.is_command {
        let message = format!("`{}` is no WASI command: {}", task.module.value, offered(module));
        mistakes.push(Mistake::at(&argv.span, message));
    }
    let axes = inputs.axes();
    for text in &argv.value {
        if let Err(reason) = inputs.with_places(|| places::check(&text.value, &axes)) {
            mistakes.push(Mistake::at(&text.span, reason));
        }
    }
    let has_place = |text: &At<String>| text.value.contains('{');
    let stdin = task.settings.stdin.as_ref().or(defaults.stdin.as_ref());
    if let Inputs::Lines { .. } = inputs
        && !argv.value.iter().chain(stdin).any(has_place)
    {
        let message = "no argument says where each line goes: write `{}` in one of them";
        mistakes.push(Mistake::at(&argv.span, message));
    }
    let file_name = task.module.value.rsplit('/').find(|part| !part.is_empty()).unwrap_or("module");
    let argv0 = task.settings.argv0.clone().or_else(|| defaults.argv0.clone());
    let argv0 = argv0.unwrap_or_else(|| file_name.to_owned());
    Some(Call::Command { argv0, argv: argv.value.iter().map(|text| text.value.clone()).collect() })
}

fn invoke(
    task: &TaskEntry,
    module: &ModuleInfo,
    inputs: &Inputs,
    expression: &At<String>,
    mistakes: &mut Vec<Mistake>,
) -> Option<Call> {
    let mut wrong = |message: String| mistakes.push(Mistake::at(&expression.span, message));
    let Some((name, _)) = expression.value.split_once('(') else {
        wrong(format!("`{}` is no call: invoke = \"add(1, 2)\"", expression.value));
        return None;
    };
    let Some(export) = module.export(name.trim()) else {
        let exports = module.exports.iter().map(|export| export.name.as_str());
        let hint = match did_you_mean(name.trim(), exports) {
            nothing if nothing.is_empty() => format!(": {}", offered(module)),
            hint => hint,
        };
        wrong(format!("`{}` has no export `{}`{hint}", task.module.value, name.trim()));
        return None;
    };
    if let Err(reason) = inputs.with_places(|| places::check(&expression.value, &inputs.axes())) {
        wrong(reason);
    } else if matches!(inputs, Inputs::Lines { .. }) && !expression.value.contains('{') {
        wrong("nothing says where each line goes: write `{}` there".to_owned());
    }
    Some(Call::Invoke { name: export.name.clone(), expression: expression.value.clone() })
}

fn function(
    task: &TaskEntry,
    module: &ModuleInfo,
    inputs: &Inputs,
    name: Option<&At<String>>,
    args: Option<&At<Vec<Value>>>,
    kwargs: &[(At<String>, Value)],
    mistakes: &mut Vec<Mistake>,
) -> Option<Call> {
    let (name, info) = target(task, module, name, mistakes)?;
    let span = args
        .map_or_else(|| kwargs.first().map_or(&task.name.span, |(name, _)| &name.span), |args| &args.span);
    let is_raw = info.is_some_and(|info| info.args == Encoding::Raw);
    if let Some((keyword, _)) = kwargs.first()
        && (info.is_none() || is_raw)
    {
        let what = if is_raw { "takes raw bytes" } else { "is a plain export" };
        let message = format!("`{name}` {what}, so its parameters have no names for `kwargs`: use args");
        mistakes.push(Mistake::at(&keyword.span, message));
        return None;
    }
    let axes = inputs.axes();
    let empty = Vec::new();
    let values = args.map_or(&empty, |args| &args.value);
    for value in values.iter().chain(kwargs.iter().map(|(_, value)| value)) {
        if let Err(reason) = inputs.with_places(|| places::check_value(value, &axes)) {
            mistakes.push(Mistake::at(span, reason));
        }
    }
    let keywords = kwargs.iter().map(|(name, value)| (name.value.clone(), JsonText::from(value))).collect();
    let (starmap, is_lines) = match inputs {
        Inputs::Lines { starmap, .. } => (*starmap, true),
        _ => (false, false),
    };
    let maker = match CallMaker::new(&name, info, keywords, starmap) {
        Ok(maker) => maker,
        Err(error) => {
            mistakes.push(Mistake::at(span, error.to_string()));
            return None;
        }
    };
    if !is_lines && let Err(error) = maker.of_values(values) {
        let hint =
            if args.is_none() && kwargs.is_empty() { ": write args = [...] or kwargs = {...}" } else { "" };
        mistakes.push(Mistake::at(span, format!("{error}{hint}")));
    }
    let kwargs = kwargs.iter().map(|(name, value)| (name.value.clone(), value.clone())).collect();
    Some(Call::Task { name, is_raw, args: values.clone(), kwargs, of_lines: Box::new(maker) })
}

/// The function that is meant, and what the module says of it.
fn target<'a>(
    task: &TaskEntry,
    module: &'a ModuleInfo,
    name: Option<&At<String>>,
    mistakes: &mut Vec<Mistake>,
) -> Option<(String, Option<&'a TaskInfo>)> {
    let Some(name) = name else {
        if let [only] = module.tasks.as_slice() {
            return Some((only.name.clone(), Some(only)));
        }
        let message = format!("say what of `{}` is called: {}", task.module.value, offered(module));
        mistakes.push(Mistake::at(&task.module.span, message));
        return None;
    };
    let is_meant = |info: &&TaskInfo| info.name == name.value || info.export == name.value;
    if let Some(info) = module.tasks.iter().find(is_meant) {
        return Some((info.name.clone(), Some(info)));
    }
    if module.export(&name.value).is_some() {
        return Some((name.value.clone(), None));
    }
    let tasks = module.tasks.iter().map(|info| info.name.as_str());
    let exports = module.exports.iter().map(|export| export.name.as_str());
    let hint = match did_you_mean(&name.value, tasks.chain(exports)) {
        nothing if nothing.is_empty() => format!(": {}", offered(module)),
        hint => hint,
    };
    let message = format!("`{}` has no task or export `{}`{hint}", task.module.value, name.value);
    mistakes.push(Mistake::at(&name.span, message));
    None
}

/// Names that a message lists, at most.
const LISTED_MAX: usize = 12;

/// What can be called of a module.
fn offered(module: &ModuleInfo) -> String {
    let tasks: Vec<String> = module.tasks.iter().take(LISTED_MAX).map(TaskInfo::signature).collect();
    let exports: Vec<&str> =
        module.exports.iter().take(LISTED_MAX).map(|export| export.name.as_str()).collect();
    match (tasks.as_slice(), exports.as_slice()) {
        ([], []) if module.is_command => {
            "it is a WASI command: command = [\"its\", \"arguments\"]".to_owned()
        }
        ([], []) => "it exports no function".to_owned(),
        ([], exports) => format!("its exports are {}", exports.join(", ")),
        (tasks, _) => format!("its tasks are {}", tasks.join("; ")),
    }
}
