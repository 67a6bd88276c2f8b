//! How many tasks an entry is: one, one for each combination of a matrix, or one for each line of a file. None of them is
//! made before it is asked for.

#![forbid(unsafe_code)]

use std::collections::HashSet;

use serde_json::Value;

use super::World;
use super::places::text_of;
use crate::batch::manifest::mistake::{At, Mistake};
use crate::batch::manifest::task::{self, AxisValues, TaskEntry};

/// How many tasks an entry is.
#[derive(Clone, Debug, PartialEq)]
pub enum Inputs {
    /// One.
    One,
    /// One for each combination, the last axis changing fastest.
    Matrix {
        /// The axes.
        axes: Vec<Axis>,
        /// Whether the tasks are named after their values, or numbered.
        is_named: bool,
    },
    /// One for each line of a file.
    Lines {
        /// The file, from the manifest's folder on.
        file: String,
        /// Whether each line is an array of all arguments.
        starmap: bool,
    },
}

/// One axis of a matrix.
#[derive(Clone, Debug, PartialEq)]
pub struct Axis {
    /// What its places are called.
    pub name: String,
    /// What it goes over.
    pub values: Values,
}

/// The values of an axis.
#[derive(Clone, Debug, PartialEq)]
pub enum Values {
    /// These.
    List(Vec<Value>),
    /// The whole numbers from the first to the last one.
    Range(i64, i64),
}

impl Values {
    /// How many there are.
    #[must_use]
    pub fn len(&self) -> u64 {
        match self {
            Self::List(list) => list.len() as u64,
            Self::Range(first, last) => last.abs_diff(*first).saturating_add(1),
        }
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The one at this place.
    #[must_use]
    pub fn get(&self, at: u64) -> Value {
        match self {
            Self::List(list) => {
                usize::try_from(at).ok().and_then(|at| list.get(at)).cloned().unwrap_or_default()
            }
            Self::Range(first, _) => Value::from(first.saturating_add_unsigned(at)),
        }
    }
}

impl Inputs {
    /// How many tasks; `None` when a file says so.
    #[must_use]
    pub fn count(&self) -> Option<u64> {
        match self {
            Self::One => Some(1),
            Self::Matrix { axes, .. } => {
                Some(axes.iter().fold(1_u64, |tasks, axis| tasks.saturating_mul(axis.values.len())))
            }
            Self::Lines { .. } => None,
        }
    }

    /// Whether texts have places.
    #[must_use]
    pub fn is_many(&self) -> bool {
        !matches!(self, Self::One)
    }

    /// The names of the places; a line has the empty name.
    #[must_use]
    pub fn axes(&self) -> Vec<&str> {
        match self {
            Self::One => Vec::new(),
            Self::Matrix { axes, .. } => axes.iter().map(|axis| axis.name.as_str()).collect(),
            Self::Lines { .. } => vec![""],
        }
    }

    /// The check, where texts have places.
    pub(super) fn with_places(&self, check: impl FnOnce() -> Result<(), String>) -> Result<(), String> {
        if self.is_many() { check() } else { Ok(()) }
    }

    /// The values of this combination.
    #[must_use]
    pub fn combination(&self, number: u64) -> Vec<(String, Value)> {
        let Self::Matrix { axes, .. } = self else { return Vec::new() };
        let mut rest = number;
        let mut values: Vec<(String, Value)> = Vec::with_capacity(axes.len());
        for axis in axes.iter().rev() {
            let count = axis.values.len().max(1);
            values.push((axis.name.clone(), axis.values.get(rest % count)));
            rest /= count;
        }
        values.reverse();
        values
    }
}

/// Looks up what an entry goes over. What is wrong becomes one task, so that the rest can be checked too.
pub(super) fn resolve(
    task: &TaskEntry,
    world: &dyn World,
    files_left: &mut usize,
    mistakes: &mut Vec<Mistake>,
) -> Inputs {
    match &task.inputs {
        task::Inputs::One => Inputs::One,
        task::Inputs::From { file, starmap } => {
            if let Err(reason) = world.file(&file.value) {
                mistakes.push(Mistake::at(&file.span, format!("cannot read `{}`: {reason}", file.value)));
            }
            Inputs::Lines { file: file.value.clone(), starmap: *starmap }
        }
        task::Inputs::Matrix(matrix) => {
            let axes = matrix.value.iter().map(|axis| Axis {
                name: axis.name.value.clone(),
                values: match &axis.values {
                    AxisValues::List(list) => list_of(list, mistakes),
                    AxisValues::Glob(patterns) => files(patterns, world, files_left, mistakes),
                    AxisValues::Range(range) => Values::Range(range.value.0, range.value.1),
                },
            });
            let axes: Vec<Axis> = axes.collect();
            let is_named = axes.iter().all(|axis| names_tasks(&axis.values, axes.len()));
            Inputs::Matrix { axes, is_named }
        }
    }
}

fn list_of(list: &[At<Value>], mistakes: &mut Vec<Mistake>) -> Values {
    let mut seen = HashSet::new();
    for value in list {
        if !seen.insert(text_of(&value.value)) {
            let message =
                format!("`{}` stands twice in this axis: two tasks would be the same", text_of(&value.value));
            mistakes.push(Mistake::at(&value.span, message));
        }
    }
    Values::List(list.iter().map(|value| value.value.clone()).collect())
}

fn files(
    patterns: &[At<String>],
    world: &dyn World,
    files_left: &mut usize,
    mistakes: &mut Vec<Mistake>,
) -> Values {
    let mut files: Vec<String> = Vec::new();
    for pattern in patterns {
        match world.files(&pattern.value) {
            Err(reason) => {
                mistakes.push(Mistake::at(&pattern.span, format!("`{}`: {reason}", pattern.value)))
            }
            Ok(found) if found.is_empty() => {
                let message = format!(
                    "no file matches `{}`, so there would be no task; the pattern begins in the manifest's folder",
                    pattern.value
                );
                mistakes.push(Mistake::at(&pattern.span, message));
            }
            Ok(found) if found.len() > *files_left => {
                let message = format!(
                    "the patterns find more than {} files in all: write their names into a file, which a task reads \
                     with `from`",
                    crate::limits::GLOB_FILES_MAX
                );
                mistakes.push(Mistake::at(&pattern.span, message));
            }
            Ok(found) => {
                *files_left -= found.len();
                files.extend(found);
            }
        }
    }
    if patterns.len() > 1 {
        // What several patterns find is one task.
        let mut seen = HashSet::new();
        files.retain(|file| seen.insert(file.clone()));
    }
    Values::List(files.into_iter().map(Value::from).collect())
}

/// Bytes of the values in a task's name.
const NAMED_BYTES_MAX: usize = 140;

/// Whether tasks can be named after these values: short ones, that nobody could take for two.
fn names_tasks(values: &Values, axes: usize) -> bool {
    let Values::List(list) = values else { return true };
    list.iter().all(|value| {
        let text = text_of(value);
        let has_comma = axes > 1 && text.contains(',');
        !has_comma && !text.contains(char::is_control) && text.len() <= NAMED_BYTES_MAX / axes
    })
}
