//! The boundary between the guest and the host: the imports of `task.wit`, called by the canonical ABI, and the way
//! in and out of an exported task. With `sync/raw.rs` and `pool/raw.rs`, which have the imports of `sync.wit`, the only
//! unsafe code of this crate.
//!
//! Written by hand and not by `wit-bindgen`, because every plugin's build would have to compile its generator first;
//! the world that the component linker needs to know (`wit/guest.component-type`) is encoded from the WIT files, and a
//! test holds the two against each other.
//!
//! Three rules of the canonical ABI carry the safety here. What the host passes to the guest lies in memory that it
//! got from `cabi_realloc`, which is the guest's from then on. What the guest passes to an import is read before the
//! call returns. What an export returns stays untouched until the host calls the export's post-return.

#![expect(unsafe_code, reason = "the canonical ABI is raw pointers")]

use log::{Level, LevelFilter};
use std::alloc::{self, Layout};

use crate::error::TaskError;
use crate::{logger, output, panics};

/// The world `guest` of the WIT files, for the component linker.
#[used]
#[unsafe(link_section = "component-type:wasmpool:guest")]
static WORLD: [u8; include_bytes!("../wit/guest.component-type").len()] =
    *include_bytes!("../wit/guest.component-type");

/// A string that an import returned: where it lies.
#[repr(C)]
pub struct ReturnedText {
    pointer: *mut u8,
    length: usize,
}

impl ReturnedText {
    /// No text yet.
    pub const EMPTY: Self = Self { pointer: std::ptr::null_mut(), length: 0 };

    /// The text.
    ///
    /// # Safety
    ///
    /// The host allocated it with `cabi_realloc`, and this is the only use of it.
    pub unsafe fn into_string(self) -> String {
        // SAFETY: the caller vouches for the pointer and the length.
        let bytes = unsafe { adopt(self.pointer, self.length) };
        // A host checks that its strings are UTF-8.
        String::from_utf8(bytes).unwrap_or_default()
    }
}

/// An `option<level>` that an import returned.
#[repr(C)]
struct ReturnedLevel {
    is_some: u8,
    level: u8,
}

#[link(wasm_import_module = "wasmpool:task/context@0.1.0")]
unsafe extern "C" {
    #[link_name = "name"]
    fn context_name(returned: *mut ReturnedText);
    #[link_name = "id"]
    safe fn context_id() -> u64;
    #[link_name = "attempt"]
    safe fn context_attempt() -> u32;
    #[link_name = "worker-name"]
    fn context_worker_name(returned: *mut ReturnedText);
    #[link_name = "cancelled"]
    safe fn context_cancelled() -> u32;
    #[link_name = "progress"]
    safe fn context_progress(done: u64, total_is_some: u32, total: u64);
    #[link_name = "exit"]
    safe fn context_exit(code: u32);
    #[link_name = "panicked"]
    fn context_panicked(
        message: *const u8,
        message_length: usize,
        file: *const u8,
        file_length: usize,
        line: u32,
        column: u32,
    );
}

/// What `inputs` returns: pointer and length of a `list<u32>`, then of a `list<u8>`.
#[repr(C)]
struct ReturnedInputs {
    lengths: *mut u32,
    count: usize,
    bytes: *mut u8,
    length: usize,
}

#[link(wasm_import_module = "wasmpool:task/chunk@0.1.0")]
unsafe extern "C" {
    #[link_name = "following"]
    safe fn chunk_following() -> u32;
    #[link_name = "inputs"]
    fn chunk_inputs(returned: *mut ReturnedInputs);
    #[link_name = "ended"]
    fn chunk_ended(is_error: u32, first: usize, second: usize, third: usize);
}

#[link(wasm_import_module = "wasmpool:task/log@0.1.0")]
unsafe extern "C" {
    #[link_name = "record"]
    fn log_record_import(
        level: u32,
        target: *const u8,
        target_length: usize,
        message: *const u8,
        message_length: usize,
    );
    #[link_name = "max-level"]
    fn log_max_level_import(returned: *mut ReturnedLevel);
}

pub fn name() -> String {
    // SAFETY: the import writes one text to the place that it is given.
    unsafe { returned_text(context_name) }
}

pub fn id() -> u64 {
    context_id()
}

pub fn attempt() -> u32 {
    context_attempt()
}

pub fn worker_name() -> String {
    // SAFETY: the import writes one text to the place that it is given.
    unsafe { returned_text(context_worker_name) }
}

pub fn cancelled() -> bool {
    context_cancelled() != 0
}

pub fn progress(done: u64, total: Option<u64>) {
    context_progress(done, total.is_some().into(), total.unwrap_or(0));
}

pub fn exit(code: u32) -> ! {
    output::flush();
    context_exit(code);
    // The host does not return from `exit`.
    core::arch::wasm32::unreachable()
}

pub fn panicked(message: &str, file: &str, line: u32, column: u32) {
    // SAFETY: both texts live until the call returns.
    unsafe { context_panicked(message.as_ptr(), message.len(), file.as_ptr(), file.len(), line, column) }
}

pub fn log_record(level: Level, target: &str, message: &str) {
    let level = match level {
        Level::Trace => 0,
        Level::Debug => 1,
        Level::Info => 2,
        Level::Warn => 3,
        Level::Error => 4,
    };
    // SAFETY: both texts live until the call returns.
    unsafe { log_record_import(level, target.as_ptr(), target.len(), message.as_ptr(), message.len()) }
}

pub fn log_max_level() -> LevelFilter {
    let mut returned = ReturnedLevel { is_some: 0, level: 0 };
    // SAFETY: the import writes an `option<level>`, two bytes, to the place that it is given.
    unsafe { log_max_level_import(&raw mut returned) };
    match (returned.is_some, returned.level) {
        (0, _) => LevelFilter::Off,
        (_, 0) => LevelFilter::Trace,
        (_, 1) => LevelFilter::Debug,
        (_, 2) => LevelFilter::Info,
        (_, 3) => LevelFilter::Warn,
        _ => LevelFilter::Error,
    }
}

/// What `import` returns.
///
/// # Safety
///
/// `import` writes a text that the host allocated with `cabi_realloc` to its argument.
pub unsafe fn returned_text(import: unsafe extern "C" fn(*mut ReturnedText)) -> String {
    let mut returned = ReturnedText::EMPTY;
    // SAFETY: the place lives until the call returns, and it is of the shape that a returned string has.
    unsafe { import(&raw mut returned) };
    // SAFETY: the text was allocated with `cabi_realloc` for this call and belongs to nobody else.
    unsafe { returned.into_string() }
}

/// The list that the host put at `pointer`.
///
/// # Safety
///
/// `pointer` is what `cabi_realloc` returned for `length` values at their alignment, each of which the host has written,
/// and is used for nothing else.
pub unsafe fn adopt<T>(pointer: *mut T, length: usize) -> Vec<T> {
    if length == 0 {
        return Vec::new();
    }
    // SAFETY: `cabi_realloc` below takes from the global allocator, with this size and this alignment.
    unsafe { Vec::from_raw_parts(pointer, length, length) }
}

/// Where the host asks for memory in the guest: for arguments, and for what imports return.
///
/// The C library has a weak function of this name, which takes from `malloc`. This one makes it the global allocator
/// of the plugin, whatever that is, because vectors and strings give it back there.
///
/// # Safety
///
/// As for `realloc`: `old_pointer` came from here, for `old_size` bytes at the same `alignment`.
#[unsafe(export_name = "cabi_realloc")]
unsafe extern "C" fn cabi_realloc(
    old_pointer: *mut u8,
    old_size: usize,
    alignment: usize,
    new_size: usize,
) -> *mut u8 {
    if new_size == 0 {
        // Never read: any pointer of that alignment but null.
        return std::ptr::without_provenance_mut(alignment);
    }
    let Ok(layout) = Layout::from_size_align(new_size, alignment) else { core::arch::wasm32::unreachable() };
    let pointer = if old_size == 0 {
        // SAFETY: the size is not zero.
        unsafe { alloc::alloc(layout) }
    } else {
        // SAFETY: the caller vouches for the old pointer and size; the new size was accepted with this alignment,
        // so the old, allocated one has a valid layout too.
        unsafe {
            let old = Layout::from_size_align_unchecked(old_size, alignment);
            alloc::realloc(old_pointer, old, new_size)
        }
    };
    if pointer.is_null() {
        // The host sees the growth that its limit refused, and says so.
        core::arch::wasm32::unreachable()
    }
    pointer
}

/// What an exported task returns: a `result<list<u8>, task-error>` in memory, and behind it, out of the host's sight,
/// the bytes that it points to.
#[repr(C)]
#[derive(Debug)]
pub struct Returning {
    is_error: u32,
    /// Pointer and length of the list; or the error's case, then pointer and length of its text.
    words: [usize; 3],
    /// Keeps the bytes until the host has read them.
    _content: Vec<u8>,
}

impl Returning {
    fn new(outcome: Result<Vec<u8>, TaskError>) -> Self {
        match outcome {
            Ok(bytes) => Self {
                is_error: 0,
                words: [bytes.as_ptr().expose_provenance(), bytes.len(), 0],
                _content: bytes,
            },
            Err(error) => {
                let (case, text) = match error {
                    TaskError::Failed(text) => (0, text),
                    TaskError::InvalidArguments(text) => (1, text),
                    TaskError::Other(text) => (2, text),
                };
                let text = text.into_bytes();
                Self {
                    is_error: 1,
                    words: [case, text.as_ptr().expose_provenance(), text.len()],
                    _content: text,
                }
            }
        }
    }
}

/// Runs `task` on the arguments that the host put at `pointer`, and on those of the tasks behind it in its chunk, which the
/// host would call one by one. What the last of them returned is returned, what others did is told.
///
/// # Safety
///
/// Called by an export with the pointer and the length that the host passed to it.
pub unsafe fn enter(
    pointer: *mut u8,
    length: usize,
    task: fn(Vec<u8>) -> Result<Vec<u8>, TaskError>,
) -> *mut Returning {
    panics::install();
    logger::install();
    let run = |input| {
        let outcome = task(input);
        output::flush();
        Returning::new(outcome)
    };
    // SAFETY: the host allocated an argument of an export with `cabi_realloc` and gave it away with the call.
    let mut returning = run(unsafe { adopt(pointer, length) });
    let mut inputs = FollowingInputs::default();
    for _ in 0..chunk_following() {
        let Returning { is_error, words: [first, second, third], .. } = returning;
        // SAFETY: the words are those of an outcome whose bytes live until the host has read them, and whose address is
        // exposed.
        unsafe { chunk_ended(is_error, first, second, third) };
        drop(returning);
        // What follows is at the account of the next task.
        returning = run(inputs.next());
    }
    Box::into_raw(Box::new(returning))
}

/// Arguments of tasks behind the one that runs, as many as came at once.
#[derive(Default)]
struct FollowingInputs {
    lengths: std::vec::IntoIter<u32>,
    bytes: Vec<u8>,
    /// Where those begin that were not taken out.
    start: usize,
}

impl FollowingInputs {
    /// The arguments of the next task. The host has some for as many as it says that follow.
    fn next(&mut self) -> Vec<u8> {
        let length = self.lengths.next().or_else(|| {
            let (lengths, bytes) = chunk_inputs_list();
            *self = Self { lengths: lengths.into_iter(), bytes, start: 0 };
            self.lengths.next()
        });
        let Some(length) = length else { core::arch::wasm32::unreachable() };
        let (start, end) = (self.start, self.start.saturating_add(length as usize));
        if (start, end) == (0, self.bytes.len()) {
            // It came alone, and need not be there twice.
            return std::mem::take(&mut self.bytes);
        }
        self.start = end;
        let Some(input) = self.bytes.get(start..end) else { core::arch::wasm32::unreachable() };
        input.to_vec()
    }
}

/// The lengths and the bytes of arguments that the host gives next.
fn chunk_inputs_list() -> (Vec<u32>, Vec<u8>) {
    let mut returned =
        ReturnedInputs { lengths: std::ptr::null_mut(), count: 0, bytes: std::ptr::null_mut(), length: 0 };
    // SAFETY: the import writes two lists to the place that it is given.
    unsafe { chunk_inputs(&raw mut returned) };
    let ReturnedInputs { lengths, count, bytes, length } = returned;
    // SAFETY: both lists were allocated with `cabi_realloc` for this call and belong to nobody else.
    unsafe { (adopt(lengths, count), adopt(bytes, length)) }
}

/// Frees what [`enter`] returned.
///
/// # Safety
///
/// `returning` is from [`enter`], and this is the only call for it.
pub unsafe fn leave(returning: *mut Returning) {
    // SAFETY: `enter` made the pointer from a box, and this is the only call that takes it back.
    drop(unsafe { Box::from_raw(returning) });
}
