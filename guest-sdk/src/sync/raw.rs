//! The interface `flat` of `sync.wit`, by the canonical ABI. Each function is what its import is, without pointers.
//!
//! Declared beside `crate::raw`, which says what the safety of all this rests on, and not inside `sync`, which forbids
//! unsafe code.

#![expect(unsafe_code, reason = "the canonical ABI is raw pointers")]

use crate::raw::{ReturnedText, adopt, returned_text};

/// A `result<u32, u32>` that an import returned.
#[repr(C)]
#[derive(Default)]
struct ReturnedNumber {
    is_error: u8,
    number: u32,
}

/// A `result<list<u8>, u32>` or `result<list<string>, u32>` that an import returned.
#[repr(C)]
struct ReturnedList {
    is_error: u8,
    /// The pointer, or the code.
    pointer_or_code: *mut u8,
    length: usize,
}

/// A `result<option<list<u8>>, u32>` that an import returned.
#[repr(C)]
struct ReturnedOption {
    is_error: u8,
    /// Of the option in its first byte, or the code in all of them.
    some_or_code: u32,
    pointer: *mut u8,
    length: usize,
}

#[link(wasm_import_module = "wasmpool:task/flat@0.1.0")]
unsafe extern "C" {
    #[link_name = "open"]
    fn flat_open(kind: u32, name: *const u8, name_length: usize, returned: *mut ReturnedNumber);
    #[link_name = "release-handle"]
    pub safe fn release_handle(handle: u32);
    #[link_name = "last-error"]
    fn flat_last_error(returned: *mut ReturnedText);
    #[link_name = "acquire"]
    pub safe fn acquire(handle: u32, timeout_ms: u32) -> u32;
    #[link_name = "release"]
    pub safe fn release(handle: u32) -> u32;
    #[link_name = "abandoned-by"]
    pub safe fn abandoned_by(handle: u32) -> u64;
    #[link_name = "set"]
    pub safe fn set(handle: u32) -> u32;
    #[link_name = "clear"]
    pub safe fn clear(handle: u32) -> u32;
    #[link_name = "is-set"]
    pub safe fn is_set(handle: u32) -> u32;
    #[link_name = "wait"]
    pub safe fn wait(handle: u32, timeout_ms: u32) -> u32;
    #[link_name = "notify"]
    pub safe fn notify(handle: u32, count: u32) -> u32;
    #[link_name = "meet"]
    fn flat_meet(handle: u32, timeout_ms: u32, returned: *mut ReturnedNumber);
    #[link_name = "reset"]
    pub safe fn reset(handle: u32) -> u32;
    #[link_name = "abort"]
    pub safe fn abort(handle: u32) -> u32;
    #[link_name = "len"]
    pub safe fn len(handle: u32) -> u64;
    #[link_name = "load"]
    pub safe fn load(handle: u32) -> u64;
    #[link_name = "store"]
    pub safe fn store(handle: u32, bits: u64) -> u64;
    #[link_name = "add-integer"]
    pub safe fn add_integer(handle: u32, addend: i64) -> i64;
    #[link_name = "add-float"]
    pub safe fn add_float(handle: u32, addend: f64) -> f64;
    #[link_name = "compare-exchange"]
    pub safe fn compare_exchange(handle: u32, expected: u64, new: u64) -> u64;
    #[link_name = "read"]
    fn flat_read(handle: u32, start: u64, count: u64, returned: *mut ReturnedList);
    #[link_name = "write"]
    fn flat_write(handle: u32, start: u64, bytes: *const u8, length: usize) -> u32;
    #[link_name = "put"]
    fn flat_put(handle: u32, timeout_ms: u32, item: *const u8, length: usize) -> u32;
    #[link_name = "get"]
    fn flat_get(handle: u32, timeout_ms: u32, leased: u32, returned: *mut ReturnedList);
    #[link_name = "lease"]
    pub safe fn lease(handle: u32) -> u64;
    #[link_name = "deliveries"]
    pub safe fn deliveries(handle: u32) -> u32;
    #[link_name = "acknowledge"]
    pub safe fn acknowledge(handle: u32, lease: u64) -> u32;
    #[link_name = "give-back"]
    pub safe fn give_back(handle: u32, lease: u64) -> u32;
    #[link_name = "close"]
    pub safe fn close(handle: u32) -> u32;
    #[link_name = "wait-empty"]
    pub safe fn wait_empty(handle: u32, timeout_ms: u32) -> u32;
    #[link_name = "take-dead"]
    fn flat_take_dead(handle: u32, returned: *mut ReturnedList);
    #[link_name = "dict-get"]
    fn flat_dict_get(handle: u32, key: *const u8, key_length: usize, returned: *mut ReturnedOption);
    #[link_name = "dict-set"]
    fn flat_dict_set(
        handle: u32,
        key: *const u8,
        key_length: usize,
        value: *const u8,
        value_length: usize,
        returned: *mut ReturnedOption,
    );
    #[link_name = "dict-remove"]
    fn flat_dict_remove(handle: u32, key: *const u8, key_length: usize, returned: *mut ReturnedOption);
    #[link_name = "dict-swap"]
    fn flat_dict_swap(
        handle: u32,
        key: *const u8,
        key_length: usize,
        expected_is_some: u32,
        expected: *const u8,
        expected_length: usize,
        new_is_some: u32,
        new: *const u8,
        new_length: usize,
    ) -> u32;
    #[link_name = "dict-keys"]
    fn flat_dict_keys(
        handle: u32,
        after_is_some: u32,
        after: *const u8,
        after_length: usize,
        returned: *mut ReturnedList,
    );
    #[link_name = "dict-clear"]
    pub safe fn dict_clear(handle: u32) -> u32;
}

pub fn open(kind: u32, name: &str) -> Result<u32, u32> {
    // SAFETY: the name lives until the call returns; the import writes one `result<u32, u32>`.
    returned_number(|returned| unsafe { flat_open(kind, name.as_ptr(), name.len(), returned) })
}

pub fn last_error() -> String {
    // SAFETY: the import writes one text to the place that it is given.
    unsafe { returned_text(flat_last_error) }
}

pub fn meet(handle: u32, timeout_ms: u32) -> Result<u32, u32> {
    // SAFETY: the import writes one `result<u32, u32>` to the place that it is given.
    returned_number(|returned| unsafe { flat_meet(handle, timeout_ms, returned) })
}

pub fn read(handle: u32, start: u64, count: u64) -> Result<Vec<u8>, u32> {
    // SAFETY: the import writes one `result<list<u8>, u32>` to the place that it is given.
    unsafe { returned_bytes(|returned| flat_read(handle, start, count, returned)) }
}

pub fn write(handle: u32, start: u64, bytes: &[u8]) -> u32 {
    // SAFETY: the bytes live until the call returns.
    unsafe { flat_write(handle, start, bytes.as_ptr(), bytes.len()) }
}

pub fn put(handle: u32, timeout_ms: u32, item: &[u8]) -> u32 {
    // SAFETY: the item lives until the call returns.
    unsafe { flat_put(handle, timeout_ms, item.as_ptr(), item.len()) }
}

pub fn get(handle: u32, timeout_ms: u32, leased: bool) -> Result<Vec<u8>, u32> {
    // SAFETY: the import writes one `result<list<u8>, u32>` to the place that it is given.
    unsafe { returned_bytes(|returned| flat_get(handle, timeout_ms, leased.into(), returned)) }
}

pub fn take_dead(handle: u32) -> Result<Vec<u8>, u32> {
    // SAFETY: the import writes one `result<list<u8>, u32>` to the place that it is given.
    unsafe { returned_bytes(|returned| flat_take_dead(handle, returned)) }
}

pub fn dict_get(handle: u32, key: &str) -> Result<Option<Vec<u8>>, u32> {
    // SAFETY: the key lives until the call returns; the import writes one `result<option<list<u8>>, u32>`.
    unsafe { returned_option(|returned| flat_dict_get(handle, key.as_ptr(), key.len(), returned)) }
}

pub fn dict_set(handle: u32, key: &str, value: &[u8]) -> Result<Option<Vec<u8>>, u32> {
    // SAFETY: key and value live until the call returns; the import writes one `result<option<list<u8>>, u32>`.
    unsafe {
        returned_option(|returned| {
            flat_dict_set(handle, key.as_ptr(), key.len(), value.as_ptr(), value.len(), returned);
        })
    }
}

pub fn dict_remove(handle: u32, key: &str) -> Result<Option<Vec<u8>>, u32> {
    // SAFETY: the key lives until the call returns; the import writes one `result<option<list<u8>>, u32>`.
    unsafe { returned_option(|returned| flat_dict_remove(handle, key.as_ptr(), key.len(), returned)) }
}

pub fn dict_swap(handle: u32, key: &str, expected: Option<&[u8]>, new: Option<&[u8]>) -> u32 {
    let (expected_is_some, expected) = (expected.is_some().into(), expected.unwrap_or_default());
    let (new_is_some, new) = (new.is_some().into(), new.unwrap_or_default());
    // SAFETY: the key and both values live until the call returns.
    unsafe {
        flat_dict_swap(
            handle,
            key.as_ptr(),
            key.len(),
            expected_is_some,
            expected.as_ptr(),
            expected.len(),
            new_is_some,
            new.as_ptr(),
            new.len(),
        )
    }
}

pub fn dict_keys(handle: u32, after: Option<&str>) -> Result<Vec<String>, u32> {
    let (is_some, after) = (after.is_some().into(), after.unwrap_or_default());
    let mut returned = ReturnedList { is_error: 0, pointer_or_code: std::ptr::null_mut(), length: 0 };
    // SAFETY: the key lives until the call returns; the import writes one `result<list<string>, u32>`.
    unsafe { flat_dict_keys(handle, is_some, after.as_ptr(), after.len(), &raw mut returned) };
    if returned.is_error != 0 {
        return Err(code(returned.pointer_or_code));
    }
    if returned.length == 0 {
        return Ok(Vec::new());
    }
    // SAFETY: the host allocated the list with `cabi_realloc`, at the size and alignment of its elements, wrote
    // all of them, and gave it away.
    let texts = unsafe {
        Vec::from_raw_parts(returned.pointer_or_code.cast::<ReturnedText>(), returned.length, returned.length)
    };
    // SAFETY: each text was allocated with `cabi_realloc` and belongs to nobody else.
    Ok(texts.into_iter().map(|text| unsafe { text.into_string() }).collect())
}

/// The code that lies where a pointer would.
fn code(pointer: *mut u8) -> u32 {
    // Addresses of this machine have 32 bits.
    u32::try_from(pointer.addr()).unwrap_or(u32::MAX)
}

fn returned_number(import: impl FnOnce(*mut ReturnedNumber)) -> Result<u32, u32> {
    let mut returned = ReturnedNumber::default();
    import(&raw mut returned);
    if returned.is_error == 0 { Ok(returned.number) } else { Err(returned.number) }
}

/// The list that `import` returns, or its code.
///
/// # Safety
///
/// `import` writes a `result<list<u8>, u32>`, whose list the host allocated with `cabi_realloc`, to its argument.
unsafe fn returned_bytes(import: impl FnOnce(*mut ReturnedList)) -> Result<Vec<u8>, u32> {
    let mut returned = ReturnedList { is_error: 0, pointer_or_code: std::ptr::null_mut(), length: 0 };
    import(&raw mut returned);
    if returned.is_error != 0 {
        return Err(code(returned.pointer_or_code));
    }
    // SAFETY: the list was allocated with `cabi_realloc` for this call and belongs to nobody else.
    Ok(unsafe { adopt(returned.pointer_or_code, returned.length) })
}

/// The list that `import` returns, if there is one, or its code.
///
/// # Safety
///
/// `import` writes a `result<option<list<u8>>, u32>`, whose list the host allocated with `cabi_realloc`, to its
/// argument.
unsafe fn returned_option(import: impl FnOnce(*mut ReturnedOption)) -> Result<Option<Vec<u8>>, u32> {
    let mut returned =
        ReturnedOption { is_error: 0, some_or_code: 0, pointer: std::ptr::null_mut(), length: 0 };
    import(&raw mut returned);
    if returned.is_error != 0 {
        return Err(returned.some_or_code);
    }
    // The option's own byte is the lowest; the three above it are padding.
    if returned.some_or_code & 0xff == 0 {
        return Ok(None);
    }
    // SAFETY: the list was allocated with `cabi_realloc` for this call and belongs to nobody else.
    Ok(Some(unsafe { adopt(returned.pointer, returned.length) }))
}
