//! A handle of the host: codes in, results out.

#![forbid(unsafe_code)]

use std::sync::Arc;

use super::handle::{Delivery, Got, Patience, Taken, Woken};
use super::{Kind, SyncError};
use crate::flat;

const DONE: u32 = 0;
const ABANDONED: u32 = 1;
const OTHERWISE: u32 = 2;
const TIMED_OUT: u32 = 16;

/// A shared object that was granted to this task. Clones are the same handle; the last one gives it up.
#[derive(Debug, Clone)]
pub(crate) struct Handle(Arc<Opened>);

#[derive(Debug)]
struct Opened {
    handle: u32,
    name: String,
}

impl Drop for Opened {
    fn drop(&mut self) {
        flat::release_handle(self.handle);
    }
}

impl Handle {
    pub(crate) fn open(kind: Kind, name: &str) -> Result<Self, SyncError> {
        let handle = flat::open(kind as u32, name).map_err(error)?;
        Ok(Self(Arc::new(Opened { handle, name: name.to_owned() })))
    }

    pub(crate) fn name(&self) -> &str {
        &self.0.name
    }

    fn number(&self) -> u32 {
        self.0.handle
    }

    /// Tells who abandoned it, after the code that says that somebody did.
    fn abandoned_by(&self, code: u32) -> Option<u64> {
        (code == ABANDONED).then(|| flat::abandoned_by(self.number()))
    }

    pub(crate) fn acquire(&self, patience: Patience) -> Result<Option<Taken>, SyncError> {
        match flat::acquire(self.number(), ms(patience)) {
            TIMED_OUT => Ok(None),
            code => done(code).map(|()| Some(Taken { abandoned_by: self.abandoned_by(code) })),
        }
    }

    pub(crate) fn release(&self) -> Result<(), SyncError> {
        done(flat::release(self.number()))
    }

    /// What dropping a guard does.
    pub(crate) fn release_on_drop(&self) {
        // It fails when it was given back without the guard: then there is nothing to do.
        let _ = self.release();
    }

    pub(crate) fn set(&self) -> Result<(), SyncError> {
        done(flat::set(self.number()))
    }

    pub(crate) fn clear(&self) -> Result<(), SyncError> {
        done(flat::clear(self.number()))
    }

    pub(crate) fn is_set(&self) -> Result<bool, SyncError> {
        match flat::is_set(self.number()) {
            0 => Ok(false),
            1 => Ok(true),
            code => Err(error(code)),
        }
    }

    pub(crate) fn wait_event(&self, patience: Patience) -> Result<bool, SyncError> {
        in_time(flat::wait(self.number(), ms(patience)))
    }

    pub(crate) fn wait_condition(&self, patience: Patience) -> Result<Woken, SyncError> {
        let code = flat::wait(self.number(), ms(patience));
        Ok(Woken { in_time: in_time(code)?, abandoned_by: self.abandoned_by(code) })
    }

    pub(crate) fn notify(&self, count: u32) -> Result<(), SyncError> {
        done(flat::notify(self.number(), count))
    }

    pub(crate) fn meet(&self, patience: Patience) -> Result<Option<u32>, SyncError> {
        match flat::meet(self.number(), ms(patience)) {
            Ok(place) => Ok(Some(place)),
            Err(TIMED_OUT) => Ok(None),
            Err(code) => Err(error(code)),
        }
    }

    pub(crate) fn reset(&self) -> Result<(), SyncError> {
        done(flat::reset(self.number()))
    }

    pub(crate) fn abort(&self) -> Result<(), SyncError> {
        done(flat::abort(self.number()))
    }

    pub(crate) fn len(&self) -> u64 {
        flat::len(self.number())
    }

    pub(crate) fn load(&self) -> u64 {
        flat::load(self.number())
    }

    pub(crate) fn store(&self, bits: u64) -> u64 {
        flat::store(self.number(), bits)
    }

    pub(crate) fn add_integer(&self, addend: i64) -> i64 {
        flat::add_integer(self.number(), addend)
    }

    pub(crate) fn add_float(&self, addend: f64) -> f64 {
        flat::add_float(self.number(), addend)
    }

    pub(crate) fn compare_exchange(&self, expected: u64, new: u64) -> u64 {
        flat::compare_exchange(self.number(), expected, new)
    }

    pub(crate) fn read(&self, start: u64, count: u64) -> Result<Vec<u8>, SyncError> {
        flat::read(self.number(), start, count).map_err(error)
    }

    pub(crate) fn write(&self, start: u64, bytes: &[u8]) -> Result<(), SyncError> {
        done(flat::write(self.number(), start, bytes))
    }

    pub(crate) fn put(&self, item: &[u8], patience: Patience) -> Result<bool, SyncError> {
        in_time(flat::put(self.number(), ms(patience), item))
    }

    pub(crate) fn get(&self, patience: Patience) -> Result<Got<Vec<u8>>, SyncError> {
        got(flat::get(self.number(), ms(patience), false))
    }

    pub(crate) fn lease(&self, patience: Patience) -> Result<Got<Delivery>, SyncError> {
        let number = self.number();
        got(flat::get(number, ms(patience), true))?.try_map(|bytes| {
            Ok(Delivery { bytes, lease: flat::lease(number), deliveries: flat::deliveries(number) })
        })
    }

    pub(crate) fn acknowledge(&self, lease: u64) -> Result<(), SyncError> {
        done(flat::acknowledge(self.number(), lease))
    }

    pub(crate) fn give_back(&self, lease: u64) -> Result<(), SyncError> {
        done(flat::give_back(self.number(), lease))
    }

    pub(crate) fn close(&self) -> Result<(), SyncError> {
        done(flat::close(self.number()))
    }

    pub(crate) fn wait_empty(&self, patience: Patience) -> Result<bool, SyncError> {
        in_time(flat::wait_empty(self.number(), ms(patience)))
    }

    pub(crate) fn take_dead(&self) -> Result<Option<Vec<u8>>, SyncError> {
        got(flat::take_dead(self.number())).map(Got::item)
    }

    pub(crate) fn dict_get(&self, key: &str) -> Result<Option<Vec<u8>>, SyncError> {
        flat::dict_get(self.number(), key).map_err(error)
    }

    pub(crate) fn dict_set(&self, key: &str, value: &[u8]) -> Result<Option<Vec<u8>>, SyncError> {
        flat::dict_set(self.number(), key, value).map_err(error)
    }

    pub(crate) fn dict_remove(&self, key: &str) -> Result<Option<Vec<u8>>, SyncError> {
        flat::dict_remove(self.number(), key).map_err(error)
    }

    pub(crate) fn dict_swap(
        &self,
        key: &str,
        expected: Option<&[u8]>,
        new: Option<&[u8]>,
    ) -> Result<bool, SyncError> {
        match flat::dict_swap(self.number(), key, expected, new) {
            OTHERWISE => Ok(false),
            code => done(code).map(|()| true),
        }
    }

    pub(crate) fn dict_keys(&self, after: Option<&str>) -> Result<Vec<String>, SyncError> {
        flat::dict_keys(self.number(), after).map_err(error)
    }

    pub(crate) fn dict_clear(&self) -> Result<(), SyncError> {
        done(flat::dict_clear(self.number()))
    }
}

/// The time-out as the host takes it. A part of a millisecond is a whole one: rounded down, a short wait would be none.
pub(crate) fn ms(patience: Patience) -> u32 {
    const NEVER: u32 = u32::MAX;
    match patience {
        None => NEVER,
        Some(time) => u32::try_from(time.as_nanos().div_ceil(1_000_000)).unwrap_or(NEVER).min(NEVER - 1),
    }
}

fn done(code: u32) -> Result<(), SyncError> {
    match code {
        DONE | ABANDONED => Ok(()),
        code => Err(error(code)),
    }
}

/// False when the time was over.
fn in_time(code: u32) -> Result<bool, SyncError> {
    match code {
        TIMED_OUT => Ok(false),
        code => done(code).map(|()| true),
    }
}

fn got<T>(result: Result<T, u32>) -> Result<Got<T>, SyncError> {
    match result {
        Ok(item) => Ok(Got::Item(item)),
        Err(OTHERWISE) => Ok(Got::End),
        Err(TIMED_OUT) => Ok(Got::TimedOut),
        Err(code) => Err(error(code)),
    }
}

#[cold]
fn error(code: u32) -> SyncError {
    SyncError::from_code(code, flat::last_error)
}
