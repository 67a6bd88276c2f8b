//! The tasks of an entry, one at a time: made when they are asked for, and forgotten.

#![forbid(unsafe_code)]

use std::fmt;
use std::io::{self, BufReader, Read};
use std::sync::Arc;

use bytes::Bytes;
use serde_json::{Map, Value};

use super::places::{Given, text_of};
use super::select::Select;
use super::{Call, Entry, Inputs};
use crate::batch::BadInput;
use crate::batch::call::{Arguments, JsonText};
use crate::batch::lines::{Line, Lines};

/// One task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instance {
    /// Its number within its entry, from 1.
    pub number: u64,
    /// Its name.
    pub name: String,
    /// What it is called with, or why it cannot be.
    pub call: Result<InstanceCall, BadInput>,
    /// The file that is its standard input.
    pub stdin: Option<String>,
}

/// What a task is called with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InstanceCall {
    /// The arguments of a task or an export.
    Arguments(Arguments),
    /// The command line of a WASI command, its own name first.
    Argv(Vec<String>),
    /// The call of a plain export.
    Expression(String),
}

/// Where the lines of a file come from.
pub type Source = Lines<Box<dyn Read + Send>>;

/// Opens files of lines: each has at most so many bytes.
pub type Open<'a> = &'a dyn Fn(&str) -> io::Result<Source>;

/// The tasks of one entry that are selected, in order.
pub struct Instances {
    entry: Arc<Entry>,
    select: Arc<Select>,
    /// Those that were looked at.
    number: u64,
    lines: Option<Source>,
}

impl Instances {
    /// The tasks of this entry. A file of lines is opened by `open`.
    ///
    /// # Errors
    ///
    /// When the file cannot be opened.
    pub fn new(entry: &Arc<Entry>, select: &Arc<Select>, open: Open<'_>) -> io::Result<Self> {
        let lines = match &entry.inputs {
            Inputs::Lines { file, .. } => Some(open(file)?),
            Inputs::One | Inputs::Matrix { .. } => None,
        };
        Ok(Self { entry: Arc::clone(entry), select: Arc::clone(select), number: 0, lines })
    }

    /// The next task; `None` at the end.
    ///
    /// # Errors
    ///
    /// When a file cannot be read on.
    pub fn next_task(&mut self) -> io::Result<Option<Instance>> {
        loop {
            let line = match &mut self.lines {
                Some(lines) => match lines.next_line()? {
                    Some(line) if self.is_blank(&line) => continue,
                    Some(line) => Some(line),
                    None => return Ok(None),
                },
                None if self.entry.inputs.count().is_some_and(|tasks| self.number >= tasks) => {
                    return Ok(None);
                }
                None => None,
            };
            self.number += 1;
            let name = self.name();
            if self.select.takes(&self.entry.name, &name) {
                return Ok(Some(self.make(name, line.as_ref())));
            }
        }
    }

    /// Empty lines between JSON values mean nothing.
    fn is_blank(&self, line: &Line) -> bool {
        let is_json = matches!(&self.entry.call, Call::Task { is_raw: false, .. });
        is_json && line.text.as_ref().is_ok_and(|text| text.trim_ascii().is_empty())
    }

    fn name(&self) -> String {
        let name = &self.entry.name;
        match &self.entry.inputs {
            Inputs::One => name.clone(),
            Inputs::Matrix { is_named: true, .. } => {
                let values = self.entry.inputs.combination(self.number - 1);
                let texts: Vec<String> = values.iter().map(|(_, value)| text_of(value)).collect();
                format!("{name}({})", texts.join(","))
            }
            Inputs::Matrix { .. } | Inputs::Lines { .. } => format!("{name}#{}", self.number),
        }
    }

    fn make(&self, name: String, line: Option<&Line>) -> Instance {
        let number = self.number;
        let bad = |reason: String| {
            let place = match (&self.entry.inputs, line) {
                (Inputs::Lines { file, .. }, Some(line)) => format!("{file}:{}", line.number),
                _ => format!("task {number}"),
            };
            BadInput { place, reason }
        };
        let given = match self.given(line) {
            Ok(given) => given,
            Err(reason) => return Instance { number, name, call: Err(bad(reason)), stdin: None },
        };
        let stdin = self.entry.grants.stdin.as_ref().map(|stdin| match &given {
            Some(given) => given.fill(&stdin.value),
            None => stdin.value.clone(),
        });
        let call = self.call(given.as_ref(), line).map_err(bad);
        Instance { number, name, call, stdin }
    }

    /// The values for places, where there are any. A line that is no text has none.
    fn given(&self, line: Option<&Line>) -> Result<Option<Given>, String> {
        let values = match (&self.entry.inputs, line) {
            (Inputs::One, _) => return Ok(None),
            (Inputs::Lines { .. }, Some(line)) => {
                let text = line.text.as_ref().map_err(ToString::to_string)?;
                let needs_text = matches!(self.entry.call, Call::Command { .. } | Call::Invoke { .. });
                let text = match std::str::from_utf8(text) {
                    Ok(text) => text.to_owned(),
                    Err(_) if needs_text => {
                        return Err("it is not UTF-8, as command lines and calls must be".to_owned());
                    }
                    Err(_) => String::new(),
                };
                vec![(String::new(), Value::from(text))]
            }
            _ => self.entry.inputs.combination(self.number - 1),
        };
        Ok(Some(Given { number: self.number, values }))
    }

    fn call(&self, given: Option<&Given>, line: Option<&Line>) -> Result<InstanceCall, String> {
        match (&self.entry.call, line) {
            (Call::Command { argv0, argv }, _) => {
                let fill = |text: &String| given.map_or_else(|| text.clone(), |given| given.fill(text));
                Ok(InstanceCall::Argv(std::iter::once(argv0.clone()).chain(argv.iter().map(fill)).collect()))
            }
            (Call::Invoke { expression, .. }, _) => {
                let filled =
                    given.map_or_else(|| Ok(expression.clone()), |given| given.fill_call(expression));
                Ok(InstanceCall::Expression(filled.map_err(|error| error.to_string())?))
            }
            (Call::Task { of_lines, .. }, Some(line)) => {
                let text = line.text.as_ref().map_err(ToString::to_string)?;
                let arguments = of_lines.of_line(text).map_err(|error| error.to_string())?;
                Ok(InstanceCall::Arguments(arguments))
            }
            (Call::Task { is_raw, args, kwargs, .. }, None) => {
                let fill =
                    |value: &Value| given.map_or_else(|| value.clone(), |given| given.fill_value(value));
                let args: Vec<Value> = args.iter().map(fill).collect();
                if *is_raw {
                    let text = args.first().map(text_of).unwrap_or_default();
                    return Ok(InstanceCall::Arguments(Arguments::Raw(Bytes::from(text.into_bytes()))));
                }
                if kwargs.is_empty() {
                    return Ok(InstanceCall::Arguments(Arguments::Json(Value::Array(args).to_string())));
                }
                let kwargs: Map<String, Value> =
                    kwargs.iter().map(|(name, value)| (name.clone(), fill(value))).collect();
                let call = serde_json::json!({ "args": args, "kwargs": kwargs });
                Ok(InstanceCall::Arguments(Arguments::Json(JsonText::from(&call).as_str().to_owned())))
            }
        }
    }
}

impl fmt::Debug for Instances {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Instances")
            .field("entry", &self.entry.name)
            .field("number", &self.number)
            .finish_non_exhaustive()
    }
}

/// Reads the lines of a file, at most so many bytes each.
#[must_use]
pub fn source(reader: impl Read + Send + 'static, line_bytes_max: usize) -> Source {
    Lines::new(BufReader::with_capacity(BUFFER_BYTES, Box::new(reader)), line_bytes_max)
}

/// Bytes that are read with one call.
const BUFFER_BYTES: usize = 64 * 1024;
