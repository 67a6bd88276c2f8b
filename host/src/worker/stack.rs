//! The stack that guests run on: made once in a process, and used by one store after the other.
//!
//! A new stack for each task would be three system calls, and a page fault for each page that it touches. What an earlier
//! task left on it no guest can see: WebAssembly has no way to read its stack.

use std::ops::Range;
use std::ptr;
use std::sync::{Mutex, PoisonError};

use rustix::mm::{MapFlags, MprotectFlags, ProtFlags};
use wasmtime::{StackCreator, StackMemory};

/// Below the stack, never mapped: who runs over its end meets it.
const GUARD_BYTES: usize = 64 * 1024;

/// The stack that nobody uses.
static SPARE: Mutex<Option<Mapped>> = Mutex::new(None);

/// Makes stacks, or gives the one that is there.
#[derive(Debug)]
pub(super) struct Stacks;

/// Memory of a stack, its guard below it.
#[derive(Debug)]
struct Mapped {
    start: usize,
    length: usize,
}

/// A stack in use.
struct Stack(Option<Mapped>);

// SAFETY: a stack is a private mapping of its own, page-aligned, with a guard that is never mapped, and belongs to one
// `Stack` at a time.
unsafe impl StackCreator for Stacks {
    fn new_stack(&self, size: usize, zeroed: bool) -> wasmtime::Result<Box<dyn StackMemory>> {
        let length = size.next_multiple_of(rustix::param::page_size()) + GUARD_BYTES;
        let spare = spare().take().filter(|spare| spare.length == length && !zeroed);
        let mapped = match spare {
            Some(spare) => spare,
            None => Mapped::new(length)?,
        };
        Ok(Box::new(Stack(Some(mapped))))
    }
}

// SAFETY: the ranges are those of the mapping, which is there as long as the `Stack` is.
unsafe impl StackMemory for Stack {
    fn top(&self) -> *mut u8 {
        ptr::with_exposed_provenance_mut(self.range().end)
    }

    fn range(&self) -> Range<usize> {
        self.0.as_ref().map_or(0..0, |mapped| mapped.start + GUARD_BYTES..mapped.start + mapped.length)
    }

    fn guard_range(&self) -> Range<*mut u8> {
        let start = self.0.as_ref().map_or(0, |mapped| mapped.start);
        ptr::with_exposed_provenance_mut(start)..ptr::with_exposed_provenance_mut(start + GUARD_BYTES)
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        let mut spare = spare();
        if spare.is_none() {
            *spare = self.0.take();
        }
    }
}

fn spare() -> std::sync::MutexGuard<'static, Option<Mapped>> {
    // Whoever panicked here left one stack or none.
    SPARE.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Mapped {
    fn new(length: usize) -> wasmtime::Result<Self> {
        // SAFETY: a new private mapping at an address that the kernel chooses; what is made accessible lies inside it.
        let start = unsafe {
            let start =
                rustix::mm::mmap_anonymous(ptr::null_mut(), length, ProtFlags::empty(), MapFlags::PRIVATE)?;
            let mapped = Self { start: start.expose_provenance(), length };
            let stack = start.cast::<u8>().add(GUARD_BYTES).cast();
            rustix::mm::mprotect(stack, length - GUARD_BYTES, MprotectFlags::READ | MprotectFlags::WRITE)?;
            mapped
        };
        Ok(start)
    }
}

impl Drop for Mapped {
    fn drop(&mut self) {
        // SAFETY: exactly the range that was mapped, on which nobody runs any more.
        let unmapped =
            unsafe { rustix::mm::munmap(ptr::with_exposed_provenance_mut(self.start), self.length) };
        debug_assert!(unmapped.is_ok(), "a mapping of our own can be unmapped");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stack_is_used_again_unless_it_must_be_empty() {
        let size = 3 * rustix::param::page_size();
        let stack = Stacks.new_stack(size - 1, false).unwrap();
        let (range, guard) = (stack.range(), stack.guard_range());
        assert_eq!((range.len(), stack.top().addr()), (size, range.end));
        assert_eq!((guard.start.addr() + GUARD_BYTES, guard.end.addr()), (range.start, range.start));
        // SAFETY: the first and the last byte of a stack that nobody runs on.
        unsafe {
            ptr::with_exposed_provenance_mut::<u8>(range.start).write(1);
            stack.top().sub(1).write(1);
        }
        // Other tests may take the spare one meanwhile, so this looks at what is written, not at where.
        let zeroed = Stacks.new_stack(size, true).unwrap();
        assert_ne!(zeroed.range(), range);
        // SAFETY: as above.
        assert_eq!(unsafe { zeroed.top().sub(1).read() }, 0);
    }
}
