//! The queues, locks and the like of a manifest, made.

#![forbid(unsafe_code)]

use wasmpool::Task;
use wasmpool::batch::manifest::mistake::{At, Mistake};
use wasmpool::batch::manifest::objects::{Kind, Object};
use wasmpool::sync::{
    Array, Barrier, Condition, Dict, ElementType, Event, Grant, Lock, Pipe, Queue, RLock, Semaphore,
    SyncError, Value,
};

/// What was made, by name.
///
/// As long as this program holds one outside of its tasks, it counts as able to act on it, and a wait for it is no
/// deadlock: so nothing here is kept longer than until the tasks' prototypes are made.
#[derive(Debug, Default)]
pub struct Objects(Vec<Grant>);

impl Objects {
    /// Makes them all.
    pub fn make(objects: &[Object], mistakes: &mut Vec<Mistake>) -> Self {
        let mut made = Vec::new();
        for object in objects {
            match make(&object.name.value, &object.kind) {
                Ok(grants) => made.extend(grants),
                Err(error) => {
                    let message = format!("`{}` cannot be made: {error}", object.name.value);
                    mistakes.push(Mistake::at(&object.name.span, message));
                }
            }
        }
        Self(made)
    }

    /// The task with those of these names.
    pub fn grant(&self, names: &[At<String>], task: Task) -> Task {
        let named = |grant: &&Grant| names.iter().any(|name| name.value == grant.name());
        self.0.iter().filter(named).fold(task, |task, grant| task.grant(grant.clone()))
    }
}

fn make(name: &str, kind: &Kind) -> Result<Vec<Grant>, SyncError> {
    Ok(vec![match kind {
        Kind::Pipe { capacity, message_bytes, bytes } => {
            let mut builder = Pipe::builder().name(name);
            if let Some(messages) = capacity {
                builder = builder.capacity(*messages);
            }
            if let Some(bytes) = message_bytes {
                builder = builder.message_bytes_max(*bytes);
            }
            if let Some(bytes) = bytes {
                builder = builder.bytes_max(*bytes);
            }
            let (one, other) = builder.build_raw()?;
            return Ok(vec![Grant::from(&one), Grant::from(&other)]);
        }
        Kind::Queue { capacity, message_bytes, bytes, deliveries } => {
            let mut builder = Queue::builder().name(name);
            if let Some(items) = capacity {
                builder = builder.capacity(*items);
            }
            if let Some(bytes) = message_bytes {
                builder = builder.message_bytes_max(*bytes);
            }
            if let Some(bytes) = bytes {
                builder = builder.bytes_max(*bytes);
            }
            if let Some(deliveries) = deliveries {
                builder = builder.deliveries_max(*deliveries);
            }
            Grant::from(&builder.build_raw()?)
        }
        Kind::Lock => Grant::from(&Lock::named(name)?),
        Kind::RLock => Grant::from(&RLock::named(name)?),
        Kind::Semaphore { permits } => Grant::from(&Semaphore::named(name, *permits)?),
        Kind::Event => Grant::from(&Event::named(name)?),
        Kind::Condition => Grant::from(&Condition::named(name)?),
        Kind::Barrier { parties } => Grant::from(&Barrier::named(name, *parties)?),
        Kind::Integer { initial } => Grant::from(&Value::<i64>::named(name, *initial)?),
        Kind::Float { initial } => Grant::from(&Value::<f64>::named(name, *initial)?),
        Kind::Array { element: ElementType::U8, length } => Grant::from(&Array::<u8>::named(name, *length)?),
        Kind::Array { element: ElementType::I32, length } => {
            Grant::from(&Array::<i32>::named(name, *length)?)
        }
        Kind::Array { element: ElementType::I64, length } => {
            Grant::from(&Array::<i64>::named(name, *length)?)
        }
        Kind::Array { element: ElementType::F64, length } => {
            Grant::from(&Array::<f64>::named(name, *length)?)
        }
        Kind::Dict => Grant::from(&Dict::<serde_json::Value>::named(name)?),
    }])
}
