//! Files in directories that were granted: every way to read, change and leave them.

#![forbid(unsafe_code)]

use std::collections::BTreeSet;
use std::fs::{self, File, FileTimes, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::time::{Duration, SystemTime};
use wasmpool_guest::{Bytes, context, task};

/// Appends to a file that is there, and returns its length in bytes.
#[task]
fn append_file(path: &str, text: &str) -> Result<u64, io::Error> {
    let mut file = OpenOptions::new().append(true).open(path)?;
    file.write_all(text.as_bytes())?;
    Ok(file.metadata()?.len())
}

/// Writes, seeks back, reads and writes over, all through one descriptor; the text that is then there.
#[task]
fn rewrite_file(path: &str) -> Result<String, io::Error> {
    let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(path)?;
    file.write_all(b"one two three")?;
    file.seek(SeekFrom::Start(4))?;
    file.write_all(b"TWO")?;
    file.set_len(7)?;
    file.sync_all()?;
    let mut text = String::new();
    file.seek(SeekFrom::Start(0))?;
    file.read_to_string(&mut text)?;
    Ok(text)
}

/// Empties a file by opening it.
#[task]
fn truncate_file(path: &str) -> Result<(), io::Error> {
    OpenOptions::new().write(true).truncate(true).open(path)?;
    Ok(())
}

/// Gives a file another length through a descriptor that is open for reading, as far as anybody lets it.
#[task]
fn set_length(path: &str, length: u64) -> Result<(), io::Error> {
    File::open(path)?.set_len(length)
}

/// Sets when a file was changed last, to a day in 1970.
#[task]
fn set_times(path: &str) -> Result<(), io::Error> {
    let then = SystemTime::UNIX_EPOCH + Duration::from_secs(86_400);
    File::open(path)?.set_times(FileTimes::new().set_modified(then))
}

/// The kind of a file and its length, links not followed.
#[task]
fn stat(path: &str) -> Result<(String, u64), io::Error> {
    let metadata = fs::symlink_metadata(path)?;
    let kind = match metadata.file_type() {
        kind if kind.is_dir() => "directory",
        kind if kind.is_symlink() => "link",
        _ => "file",
    };
    Ok((kind.to_owned(), if metadata.is_file() { metadata.len() } else { 0 }))
}

/// Makes a directory.
#[task]
fn make_dir(path: &str) -> Result<(), io::Error> {
    fs::create_dir(path)
}

/// Removes a file.
#[task]
fn remove_file(path: &str) -> Result<(), io::Error> {
    fs::remove_file(path)
}

/// Removes an empty directory.
#[task]
fn remove_dir(path: &str) -> Result<(), io::Error> {
    fs::remove_dir(path)
}

/// Gives a file another name.
#[task]
fn rename_file(from: &str, to: &str) -> Result<(), io::Error> {
    fs::rename(from, to)
}

/// Gives a file a second name.
#[task]
fn hard_link(original: &str, link: &str) -> Result<(), io::Error> {
    fs::hard_link(original, link)
}

/// Makes a symbolic link.
#[task]
#[expect(deprecated, reason = "the one way to make a link that is stable on WASI")]
fn symlink(original: &str, link: &str) -> Result<(), io::Error> {
    fs::soft_link(original, link)
}

/// Reads a file that many times while somebody else renames what is on its path: every different thing that was seen, an
/// error by its kind. Tells progress as it begins.
#[task]
fn read_many_times(path: &str, times: u32) -> BTreeSet<String> {
    context::progress(0, None);
    let read = |_| fs::read_to_string(path).unwrap_or_else(|error| format!("error: {:?}", error.kind()));
    (0..times).map(read).collect()
}

/// Opens a file until that fails; how often it did not, the error, and then a result of `length` bytes with all of them
/// still open.
#[task]
fn open_without_end(path: &str, length: usize) -> Result<(usize, String, String), String> {
    let mut files = Vec::new();
    loop {
        match File::open(path) {
            Ok(file) => files.push(file),
            Err(error) => return Ok((files.len(), error.to_string(), "x".repeat(length))),
        }
    }
}

/// Writes to a file until that fails; how many bytes went in, and the error.
#[task]
fn write_without_end(path: &str) -> Result<(u64, String), io::Error> {
    let mut file = File::create(path)?;
    let (piece, mut bytes) = (vec![b'x'; 64 * 1024], 0);
    loop {
        match file.write(&piece) {
            Ok(0) => return Ok((bytes, "nothing was written".to_owned())),
            Ok(length) => bytes += length as u64,
            Err(error) => return Ok((bytes, error.to_string())),
        }
    }
}

/// The bytes of a file, as they are.
#[task]
fn read_bytes(path: &str) -> Result<Bytes, io::Error> {
    Ok(Bytes::from(fs::read(path)?))
}
