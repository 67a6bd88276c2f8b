//! The functions of WASI preview 1 with slices and vectors for pointers and lengths.
//!
//! Those of the crate `wasi` are all unsafe, most of them for no other reason than that they are imported; that is
//! what `SAFETY` means below where it says that a call takes nothing but numbers and strings.

pub use wasi::{
    Advice, Clockid, Errno, Event, Fd, Fdflags, Fdstat, Filestat, Fstflags, Oflags, Rights, Subscription,
};
use wasi::{Ciovec, Iovec};

pub type Result<T> = std::result::Result<T, Errno>;

/// The first granted directory.
pub const DIR: Fd = 3;
/// Every right there is.
pub const ALL: Rights = Rights::MAX >> 34;

macro_rules! plain {
    ($($name:ident = $call:ident($($argument:ident: $type:ty),*) -> $result:ty;)*) => {$(
        pub fn $name($($argument: $type),*) -> Result<$result> {
            // SAFETY: it takes nothing but numbers and strings, and a wrong one is an error.
            unsafe { wasi::$call($($argument),*) }
        }
    )*};
}

plain! {
    clock_resolution = clock_res_get(clock: Clockid) -> u64;
    clock_time = clock_time_get(clock: Clockid, precision: u64) -> u64;
    advise = fd_advise(fd: Fd, offset: u64, length: u64, advice: Advice) -> ();
    allocate = fd_allocate(fd: Fd, offset: u64, length: u64) -> ();
    close = fd_close(fd: Fd) -> ();
    data_sync = fd_datasync(fd: Fd) -> ();
    sync = fd_sync(fd: Fd) -> ();
    stat = fd_fdstat_get(fd: Fd) -> Fdstat;
    set_flags = fd_fdstat_set_flags(fd: Fd, flags: Fdflags) -> ();
    set_rights = fd_fdstat_set_rights(fd: Fd, base: Rights, inheriting: Rights) -> ();
    file_stat = fd_filestat_get(fd: Fd) -> Filestat;
    set_size = fd_filestat_set_size(fd: Fd, size: u64) -> ();
    set_times = fd_filestat_set_times(fd: Fd, accessed: u64, modified: u64, flags: Fstflags) -> ();
    renumber = fd_renumber(fd: Fd, to: Fd) -> ();
    seek = fd_seek(fd: Fd, offset: i64, whence: wasi::Whence) -> u64;
    tell = fd_tell(fd: Fd) -> u64;
    make_directory = path_create_directory(fd: Fd, path: &str) -> ();
    path_set_times = path_filestat_set_times(
        fd: Fd, lookup: u32, path: &str, accessed: u64, modified: u64, flags: Fstflags) -> ();
    link = path_link(from_fd: Fd, lookup: u32, from: &str, to_fd: Fd, to: &str) -> ();
    remove_directory = path_remove_directory(fd: Fd, path: &str) -> ();
    rename = path_rename(from_fd: Fd, from: &str, to_fd: Fd, to: &str) -> ();
    symlink = path_symlink(target: &str, fd: Fd, path: &str) -> ();
    unlink = path_unlink_file(fd: Fd, path: &str) -> ();
    give_way = sched_yield() -> ();
    shut_down = sock_shutdown(fd: Fd, how: u8) -> ();
}

/// What a path leads to, the last link followed.
pub fn followed(fd: Fd, path: &str) -> Result<Filestat> {
    // SAFETY: it takes nothing but numbers and strings.
    unsafe { wasi::path_filestat_get(fd, wasi::LOOKUPFLAGS_SYMLINK_FOLLOW, path) }
}

/// What lies at a path, be it a link.
pub fn path_stat(fd: Fd, path: &str) -> Result<Filestat> {
    // SAFETY: it takes nothing but numbers and strings.
    unsafe { wasi::path_filestat_get(fd, 0, path) }
}

/// How a path is opened.
#[derive(Clone, Copy)]
pub struct How {
    pub lookup: u32,
    pub open: Oflags,
    pub rights: Rights,
    pub flags: Fdflags,
}

/// Links are followed, and what is there is read.
pub const READ: How = How {
    lookup: wasi::LOOKUPFLAGS_SYMLINK_FOLLOW,
    open: 0,
    rights: ALL & !(WRITING | wasi::RIGHTS_FD_READDIR),
    flags: 0,
};
/// The same, and written.
pub const WRITE: How = How { rights: READ.rights | WRITING, ..READ };
/// A new file, or an old one without its bytes.
pub const FRESH: How = How { open: wasi::OFLAGS_CREAT | wasi::OFLAGS_TRUNC, ..WRITE };
pub const LIST: How =
    How { open: wasi::OFLAGS_DIRECTORY, rights: READ.rights | wasi::RIGHTS_FD_READDIR, ..READ };

const WRITING: Rights = wasi::RIGHTS_FD_WRITE
    | wasi::RIGHTS_FD_DATASYNC
    | wasi::RIGHTS_FD_ALLOCATE
    | wasi::RIGHTS_FD_FILESTAT_SET_SIZE;

pub fn open(fd: Fd, path: &str, how: How) -> Result<Fd> {
    // SAFETY: it takes nothing but numbers and strings.
    unsafe { wasi::path_open(fd, how.lookup, path, how.open, how.rights, how.rights, how.flags) }
}

pub fn read_parts(fd: Fd, parts: &mut [&mut [u8]]) -> Result<usize> {
    // SAFETY: each part is a slice that nobody else has.
    unsafe { wasi::fd_read(fd, &into(parts)) }
}

pub fn read_parts_at(fd: Fd, parts: &mut [&mut [u8]], offset: u64) -> Result<usize> {
    // SAFETY: each part is a slice that nobody else has.
    unsafe { wasi::fd_pread(fd, &into(parts), offset) }
}

pub fn write_parts(fd: Fd, parts: &[&[u8]]) -> Result<usize> {
    // SAFETY: each part is a slice.
    unsafe { wasi::fd_write(fd, &from(parts)) }
}

pub fn write_parts_at(fd: Fd, parts: &[&[u8]], offset: u64) -> Result<usize> {
    // SAFETY: each part is a slice.
    unsafe { wasi::fd_pwrite(fd, &from(parts), offset) }
}

/// At most `length` bytes in one call.
pub fn read(fd: Fd, length: usize) -> Result<Vec<u8>> {
    let mut bytes = vec![0; length];
    let read = read_parts(fd, &mut [&mut bytes])?;
    bytes.truncate(read);
    Ok(bytes)
}

pub fn read_at(fd: Fd, length: usize, offset: u64) -> Result<Vec<u8>> {
    let mut bytes = vec![0; length];
    let read = read_parts_at(fd, &mut [&mut bytes], offset)?;
    bytes.truncate(read);
    Ok(bytes)
}

pub fn write(fd: Fd, bytes: impl AsRef<[u8]>) -> Result<usize> {
    write_parts(fd, &[bytes.as_ref()])
}

pub fn write_at(fd: Fd, bytes: impl AsRef<[u8]>, offset: u64) -> Result<usize> {
    write_parts_at(fd, &[bytes.as_ref()], offset)
}

fn into(parts: &mut [&mut [u8]]) -> Vec<Iovec> {
    parts.iter_mut().map(|part| Iovec { buf: part.as_mut_ptr(), buf_len: part.len() }).collect()
}

fn from(parts: &[&[u8]]) -> Vec<Ciovec> {
    parts.iter().map(|part| Ciovec { buf: part.as_ptr(), buf_len: part.len() }).collect()
}

/// Where a link leads, as far as it fits into `length` bytes.
pub fn read_link(fd: Fd, path: &str, length: usize) -> Result<String> {
    let mut bytes = vec![0; length];
    // SAFETY: the pointer and the length are those of the vector.
    let read = unsafe { wasi::path_readlink(fd, path, bytes.as_mut_ptr(), length) }?;
    bytes.truncate(read);
    Ok(String::from_utf8(bytes).expect("links are text"))
}

/// The guest's name of a granted directory.
pub fn preopen(fd: Fd) -> Result<String> {
    // SAFETY: it takes a number.
    let stat = unsafe { wasi::fd_prestat_get(fd) }?;
    assert_eq!(stat.tag, wasi::PREOPENTYPE_DIR.raw());
    // SAFETY: the tag says that it is a directory.
    let length = unsafe { stat.u.dir.pr_name_len };
    let mut name = vec![0; length];
    // SAFETY: the pointer and the length are those of the vector.
    unsafe { wasi::fd_prestat_dir_name(fd, name.as_mut_ptr(), length) }?;
    Ok(String::from_utf8(name).expect("names are text"))
}

/// One entry of a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub name: String,
    pub kind: u8,
    pub inode: u64,
    /// Where the listing goes on behind it.
    pub next: u64,
}

/// The whole entries that fit into `length` bytes, and whether there may be more.
pub fn entries(fd: Fd, length: usize, cookie: u64) -> Result<(Vec<Entry>, bool)> {
    const HEAD: usize = std::mem::size_of::<wasi::Dirent>();
    let mut bytes = vec![0; length];
    // SAFETY: the pointer and the length are those of the vector.
    let used = unsafe { wasi::fd_readdir(fd, bytes.as_mut_ptr(), length, cookie) }?;
    let mut rest = &bytes[..used];
    let mut entries = Vec::new();
    while rest.len() >= HEAD {
        let number = |at: usize| u64::from_le_bytes(rest[at..at + 8].try_into().expect("eight bytes"));
        let name_length = u32::from_le_bytes(rest[16..20].try_into().expect("four bytes")) as usize;
        let Some(name) = rest.get(HEAD..HEAD + name_length) else { break };
        let name = String::from_utf8(name.to_vec()).expect("names are text");
        entries.push(Entry { name, kind: rest[20], inode: number(8), next: number(0) });
        rest = &rest[HEAD + name_length..];
    }
    Ok((entries, used == length))
}

/// Arguments or environment variables: their sizes first, then their bytes.
fn strings(
    sizes: unsafe fn() -> Result<(usize, usize)>,
    get: unsafe fn(*mut *mut u8, *mut u8) -> Result<()>,
) -> Vec<String> {
    // SAFETY: it takes nothing.
    let (count, length) = unsafe { sizes() }.expect("sizes are told");
    let (mut starts, mut bytes) = (vec![std::ptr::null_mut(); count], vec![0xff_u8; length]);
    // SAFETY: both vectors are as long as was just told.
    unsafe { get(starts.as_mut_ptr(), bytes.as_mut_ptr()) }.expect("strings are given");
    let first = bytes.as_ptr() as usize;
    let text = |start: &*mut u8| {
        let rest = &bytes[*start as usize - first..];
        let end = rest.iter().position(|byte| *byte == 0).expect("each ends with a zero");
        String::from_utf8(rest[..end].to_vec()).expect("they are text")
    };
    starts.iter().map(text).collect()
}

pub fn arguments() -> Vec<String> {
    strings(wasi::args_sizes_get, wasi::args_get)
}

pub fn variables() -> Vec<String> {
    strings(wasi::environ_sizes_get, wasi::environ_get)
}

pub fn random(bytes: &mut [u8]) -> Result<()> {
    // SAFETY: the pointer and the length are those of the slice.
    unsafe { wasi::random_get(bytes.as_mut_ptr(), bytes.len()) }
}

pub fn exit(code: u32) {
    // SAFETY: it takes a number.
    unsafe { wasi::proc_exit(code) }
}

/// Waits for one of these.
pub fn poll(subscriptions: &[Subscription]) -> Result<Vec<Event>> {
    let mut events = Vec::with_capacity(subscriptions.len());
    // SAFETY: there is room for an event for each subscription, and as many are written as is told.
    unsafe {
        let ready = wasi::poll_oneoff(subscriptions.as_ptr(), events.as_mut_ptr(), subscriptions.len())?;
        events.set_len(ready);
    }
    Ok(events)
}

/// A subscription to a clock.
pub fn at(userdata: u64, id: Clockid, timeout: u64, flags: u16) -> Subscription {
    let clock = wasi::SubscriptionClock { id, timeout, precision: 0, flags };
    let u = wasi::SubscriptionU { tag: wasi::EVENTTYPE_CLOCK.raw(), u: wasi::SubscriptionUU { clock } };
    Subscription { userdata, u }
}

/// A subscription to a descriptor.
pub fn on(userdata: u64, kind: wasi::Eventtype, file_descriptor: Fd) -> Subscription {
    let fd_read = wasi::SubscriptionFdReadwrite { file_descriptor };
    Subscription { userdata, u: wasi::SubscriptionU { tag: kind.raw(), u: wasi::SubscriptionUU { fd_read } } }
}
