//! Objects in real shared memory: their answers, a model, real threads, and scribbled memory.

mod contract;
mod model;
mod scribble;
mod threads;

use std::time::Duration;

use super::*;

fn token(number: u32) -> Token {
    Token::new(number).unwrap()
}

fn object(spec: Spec) -> SharedObject {
    SharedObject::create(spec).unwrap()
}

/// Does it without waiting.
fn at_once(object: &SharedObject, who: u32, operation: Operation<'_>) -> Result<Answer, SyncError> {
    object.perform(token(who), operation, &mut Deadline::after(Duration::ZERO))
}

/// Recovers for one that died; everybody else lives.
fn died(object: &SharedObject, gone: u32) -> Recovery {
    object.recover(token(gone), 1000 + u64::from(gone), Departure::Died, &|_| true)
}

const ACQUIRED: Result<Answer, SyncError> = Ok(Answer::Acquired { abandoned_by: None });
const DONE: Result<Answer, SyncError> = Ok(Answer::Done);
