//! The queues, locks and the like of a manifest.

#![forbid(unsafe_code)]

use toml::de::DeTable;

use super::mistake::{At, Mistake};
use super::reader::{Node, Reader, described, in_order};
use crate::limits::{
    ARRAY_BYTES_MAX, HOLDERS_MAX, MESSAGE_BYTES_MAX_OPTION, PERMITS_MAX, QUEUE_BYTES_MAX, QUEUE_CAPACITY_MAX,
};
use crate::sync::ElementType;

/// An object that tasks share.
#[derive(Clone, Debug, PartialEq)]
pub struct Object {
    /// The name under which tasks open it.
    pub name: At<String>,
    /// What it is.
    pub kind: Kind,
}

/// What an object is, with its bounds.
#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    /// A bounded queue.
    Queue {
        /// Items.
        capacity: Option<u32>,
        /// Bytes of one item.
        message_bytes: Option<u32>,
        /// Bytes of all items.
        bytes: Option<u64>,
        /// How often an item is delivered.
        deliveries: Option<u32>,
    },
    /// Two ends, `NAME.0` and `NAME.1`: what one sends, the other receives.
    Pipe {
        /// Messages in each direction.
        capacity: Option<u32>,
        /// Bytes of one message.
        message_bytes: Option<u32>,
        /// Bytes of all messages in one direction.
        bytes: Option<u64>,
    },
    /// A lock.
    Lock,
    /// A lock that its holder may take again.
    RLock,
    /// A number of permits.
    Semaphore {
        /// How many.
        permits: u32,
    },
    /// A flag.
    Event,
    /// A lock with a way to wait for a change.
    Condition,
    /// A meeting point.
    Barrier {
        /// Of how many.
        parties: u32,
    },
    /// A whole number.
    Integer {
        /// What it is at first.
        initial: i64,
    },
    /// A number with a fraction.
    Float {
        /// What it is at first.
        initial: f64,
    },
    /// A row of numbers.
    Array {
        /// What they are.
        element: ElementType,
        /// How many.
        length: u64,
    },
    /// A small map.
    Dict,
}

impl Object {
    /// The names under which tasks open it: a pipe's ends have one each.
    #[must_use]
    pub fn opened_as(&self) -> Vec<String> {
        let name = &self.name.value;
        match self.kind {
            Kind::Pipe { .. } => vec![format!("{name}.0"), format!("{name}.1")],
            _ => vec![name.clone()],
        }
    }
}

/// The tables of objects, each with an example of one.
pub(super) const TABLES: &[(&str, &str)] = &[
    ("queues", "[queues.jobs]"),
    ("pipes", "[pipes.talk]"),
    ("locks", "[locks.disk]"),
    ("rlocks", "[rlocks.disk]"),
    ("semaphores", "[semaphores.seats]"),
    ("events", "[events.ready]"),
    ("conditions", "[conditions.changed]"),
    ("barriers", "[barriers.start]"),
    ("values", "[values.total]"),
    ("arrays", "[arrays.histogram]"),
    ("dicts", "[dicts.seen]"),
];

/// Reads every table of objects.
pub(super) fn read(reader: &mut Reader<'_, '_>) -> Vec<Object> {
    let mut objects: Vec<Object> = Vec::new();
    for (table, example) in TABLES {
        let Some(entries) = reader.table(table, example) else { continue };
        for (name, node) in in_order(entries.value) {
            let Some(table_of_one) = inside(node, &name, example, reader.mistakes()) else { continue };
            let mut inner = Reader::new(table_of_one, name.span.clone(), reader.mistakes());
            let kind = kind(table, &name, &mut inner);
            inner.finish(|_| None);
            let name = name.map(str::to_owned);
            if let Some(other) = objects.iter().find(|other| other.name.value == name.value) {
                let place = other.name.span.clone();
                reader.wrong(&name.span, format!("two objects have the name `{}`", name.value));
                reader.wrong(&place, "the other one is here");
            } else if let Some(kind) = kind {
                objects.push(Object { name, kind });
            }
        }
    }
    objects.sort_by_key(|object| object.name.span.start);
    objects
}

fn inside<'a, 'i>(
    node: &'a Node<'i>,
    name: &At<&str>,
    example: &str,
    mistakes: &mut Vec<Mistake>,
) -> Option<&'a DeTable<'i>> {
    let table = node.get_ref().as_table();
    if table.is_none() {
        let found = described(node.get_ref());
        let message = format!("`{}` is {found}, where a table such as {example} was expected", name.value);
        mistakes.push(Mistake::at(&node.span(), message));
    }
    table
}

fn kind(table: &str, name: &At<&str>, reader: &mut Reader<'_, '_>) -> Option<Kind> {
    Some(match table {
        "queues" => queue(reader),
        "pipes" => pipe(reader),
        "locks" => Kind::Lock,
        "rlocks" => Kind::RLock,
        "semaphores" => Kind::Semaphore { permits: needed(reader, name, "permits", PERMITS_MAX.into())? },
        "events" => Kind::Event,
        "conditions" => Kind::Condition,
        "barriers" => Kind::Barrier { parties: needed(reader, name, "parties", HOLDERS_MAX.into())? },
        "values" => value(reader, name)?,
        "arrays" => array(reader, name)?,
        _ => Kind::Dict,
    })
}

fn queue(reader: &mut Reader<'_, '_>) -> Kind {
    let capacity = reader.number("capacity", 1, i64::from(QUEUE_CAPACITY_MAX));
    let deliveries = reader.number("deliveries", 1, i64::from(u32::MAX));
    let message_bytes = within(reader, "message_bytes", u64::from(MESSAGE_BYTES_MAX_OPTION));
    Kind::Queue {
        capacity: capacity.and_then(|at| u32::try_from(at.value).ok()),
        message_bytes: message_bytes.and_then(|bytes| u32::try_from(bytes).ok()),
        bytes: within(reader, "bytes", QUEUE_BYTES_MAX),
        deliveries: deliveries.and_then(|at| u32::try_from(at.value).ok()),
    }
}

fn pipe(reader: &mut Reader<'_, '_>) -> Kind {
    let capacity = reader.number("capacity", 1, i64::from(QUEUE_CAPACITY_MAX));
    let message_bytes = within(reader, "message_bytes", u64::from(MESSAGE_BYTES_MAX_OPTION));
    Kind::Pipe {
        capacity: capacity.and_then(|at| u32::try_from(at.value).ok()),
        message_bytes: message_bytes.and_then(|bytes| u32::try_from(bytes).ok()),
        bytes: within(reader, "bytes", QUEUE_BYTES_MAX),
    }
}

fn within(reader: &mut Reader<'_, '_>, key: &'static str, max: u64) -> Option<u64> {
    let size = reader.size(key)?;
    if size.value > max {
        reader.wrong(&size.span, format!("`{key}` is {} bytes, more than the limit of {max}", size.value));
        return None;
    }
    Some(size.value)
}

/// A number that must be there.
fn needed(reader: &mut Reader<'_, '_>, name: &At<&str>, key: &'static str, max: i64) -> Option<u32> {
    let is_missing = reader.node(key).is_none();
    if is_missing {
        reader.wrong(&name.span, format!("`{}` misses its number: {key} = 4", name.value));
        return None;
    }
    reader.number(key, 1, max).and_then(|at| u32::try_from(at.value).ok())
}

fn value(reader: &mut Reader<'_, '_>, name: &At<&str>) -> Option<Kind> {
    let Some(node) = reader.node("initial") else { return Some(Kind::Integer { initial: 0 }) };
    match super::reader::json(node) {
        Ok(serde_json::Value::Number(number)) => match number.as_i64() {
            Some(initial) => Some(Kind::Integer { initial }),
            None => number.as_f64().map(|initial| Kind::Float { initial }),
        },
        _ => {
            reader.wrong(
                &node.span(),
                format!("`{}` is a number: initial = 0, or 0.0 for fractions", name.value),
            );
            None
        }
    }
}

fn array(reader: &mut Reader<'_, '_>, name: &At<&str>) -> Option<Kind> {
    let types = [
        ("u8", ElementType::U8),
        ("i32", ElementType::I32),
        ("i64", ElementType::I64),
        ("f64", ElementType::F64),
    ];
    let length = reader.number("length", 1, i64::try_from(ARRAY_BYTES_MAX).unwrap_or(i64::MAX));
    let Some(text) = reader.string("type") else {
        reader.wrong(
            &name.span,
            format!("`{}` misses what it holds: type = \"i64\", length = 100", name.value),
        );
        return None;
    };
    let element = types.iter().find(|(name, _)| *name == text.value);
    if element.is_none() {
        reader.wrong(&text.span, "the types of elements are u8, i32, i64 and f64");
    }
    if length.is_none() {
        reader.wrong(&name.span, format!("`{}` misses how many it holds: length = 100", name.value));
    }
    let length = u64::try_from(length?.value).ok()?;
    Some(Kind::Array { element: element?.1, length })
}
