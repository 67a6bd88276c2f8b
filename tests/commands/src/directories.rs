//! Directories: making, listing, renaming, removing.

#![forbid(unsafe_code)]

use std::collections::BTreeSet;

use wasi::{
    ERRNO_BADF, ERRNO_EXIST, ERRNO_INVAL, ERRNO_ISDIR, ERRNO_NOENT, ERRNO_NOTDIR, ERRNO_NOTEMPTY, ERRNO_PERM,
    ERRNO_XDEV, FILETYPE_DIRECTORY, FILETYPE_REGULAR_FILE, FILETYPE_SYMBOLIC_LINK,
};

use crate::raw::{self, DIR, Entry, FRESH, LIST, READ};

fn touch(path: &str) {
    raw::close(raw::open(DIR, path, FRESH).expect("a file")).expect("it was open");
}

fn exists(path: &str) -> bool {
    raw::path_stat(DIR, path).is_ok()
}

pub fn making(_: &[String]) {
    raw::make_directory(DIR, "dir").expect("a directory");
    assert_eq!(raw::make_directory(DIR, "dir"), Err(ERRNO_EXIST));
    assert_eq!(raw::make_directory(DIR, "none/dir"), Err(ERRNO_NOENT));
    raw::make_directory(DIR, "dir/inner").expect("a directory in it");
    touch("dir/file");
    assert_eq!(raw::make_directory(DIR, "dir/file"), Err(ERRNO_EXIST));
    assert_eq!(raw::make_directory(DIR, "dir/file/x"), Err(ERRNO_NOTDIR));
    assert_eq!(raw::remove_directory(DIR, "dir"), Err(ERRNO_NOTEMPTY));
    assert_eq!(raw::remove_directory(DIR, "dir/file"), Err(ERRNO_NOTDIR));
    assert!(raw::unlink(DIR, "dir/inner").is_err_and(|error| [ERRNO_ISDIR, ERRNO_PERM].contains(&error)));
    assert_eq!(raw::unlink(DIR, "none"), Err(ERRNO_NOENT));
    assert_eq!(raw::remove_directory(DIR, "none"), Err(ERRNO_NOENT));
    raw::unlink(DIR, "dir/file").expect("a file");
    raw::remove_directory(DIR, "dir/inner").expect("an empty directory");
    raw::remove_directory(DIR, "dir").expect("an empty directory");
    assert!(!exists("dir"));
}

/// Everything in a directory, in pieces of this many bytes.
fn listed(fd: raw::Fd, length: usize) -> Vec<Entry> {
    let (mut all, mut cookie) = (Vec::new(), 0);
    loop {
        let (entries, more) = raw::entries(fd, length, cookie).expect("a listing");
        let Some(last) = entries.last() else { return all };
        cookie = last.next;
        all.extend(entries);
        if !more {
            return all;
        }
    }
}

pub fn listing(_: &[String]) {
    raw::make_directory(DIR, "dir").expect("a directory");
    for index in 0..50 {
        touch(&format!("dir/file-{index}"));
    }
    raw::make_directory(DIR, "dir/inner").expect("a directory");
    raw::symlink("file-0", DIR, "dir/link").expect("a link");
    let dir = raw::open(DIR, "dir", LIST).expect("a directory");
    let all = listed(dir, 64 * 1024);
    let names: BTreeSet<_> = all.iter().map(|entry| entry.name.as_str()).collect();
    assert_eq!((all.len(), names.len()), (54, 54), "itself, its parent, and each that was made, once");
    for (name, kind) in [
        (".", FILETYPE_DIRECTORY),
        ("..", FILETYPE_DIRECTORY),
        ("inner", FILETYPE_DIRECTORY),
        ("link", FILETYPE_SYMBOLIC_LINK),
        ("file-49", FILETYPE_REGULAR_FILE),
    ] {
        let entry = all.iter().find(|entry| entry.name == name).expect("it is listed");
        assert_eq!(entry.kind, kind.raw(), "{name}");
        if name != ".." {
            let stat = raw::path_stat(dir, name).expect("it is there");
            assert_eq!(entry.inode, stat.ino, "{name}");
        }
    }
    // Room for one entry or a few at a time: nothing is lost at the borders and nothing comes twice.
    // The adapter tells an entry a second time whose name it could not fit in whole.
    for length in if crate::IS_ADAPTED { &[][..] } else { &[48, 100, 333] } {
        assert_eq!(listed(dir, *length), all, "{length} bytes at a time");
    }
    // From each cookie the listing goes on behind its entry, also a second time and out of order.
    for index in [40, 3, 53, 3] {
        let (rest, _) = raw::entries(dir, 64 * 1024, all[index].next).expect("a listing");
        assert_eq!(rest, all[index + 1..], "behind entry {index}");
    }
    touch("dir/later");
    assert_eq!(listed(dir, 64 * 1024).len(), 55, "a listing from the beginning is a fresh one");
    let file = raw::open(DIR, "dir/later", READ).expect("a file");
    assert!(raw::entries(file, 100, 0).is_err_and(|error| [ERRNO_NOTDIR, ERRNO_BADF].contains(&error)));
}

pub fn renaming(_: &[String]) {
    touch("a");
    let inode = |path| raw::path_stat(DIR, path).map(|stat| stat.ino);
    let a = inode("a");
    raw::rename(DIR, "a", DIR, "b").expect("another name");
    assert_eq!((inode("a"), inode("b")), (Err(ERRNO_NOENT), a));
    touch("c");
    raw::rename(DIR, "b", DIR, "c").expect("a file takes another's place");
    assert_eq!(inode("c"), a);
    raw::rename(DIR, "c", DIR, "c").expect("its own place too");
    assert_eq!(raw::rename(DIR, "none", DIR, "c"), Err(ERRNO_NOENT));
    raw::make_directory(DIR, "empty").expect("a directory");
    raw::make_directory(DIR, "full").expect("a directory");
    touch("full/file");
    assert_eq!(raw::rename(DIR, "c", DIR, "empty"), Err(ERRNO_ISDIR));
    assert_eq!(raw::rename(DIR, "full", DIR, "c"), Err(ERRNO_NOTDIR));
    assert!(
        raw::rename(DIR, "empty", DIR, "full").is_err_and(|e| [ERRNO_NOTEMPTY, ERRNO_EXIST].contains(&e))
    );
    assert_eq!(raw::rename(DIR, "full", DIR, "full/inside"), Err(ERRNO_INVAL), "not into itself");
    raw::rename(DIR, "full", DIR, "empty").expect("a directory takes an empty one's place");
    assert!(exists("empty/file") && !exists("full"));
}

/// In two granted directories: they are two devices, so what goes from one to the other is copied.
pub fn two(_: &[String]) {
    let (one, other) = (DIR, DIR + 1);
    touch("file");
    assert_eq!(raw::rename(one, "file", other, "file"), Err(ERRNO_XDEV));
    assert_eq!(raw::link(one, 0, "file", other, "file"), Err(ERRNO_XDEV));
    assert!(exists("file") && raw::path_stat(other, "file").is_err());
    for (one, other) in [(one, one), (other, other)] {
        raw::close(raw::open(one, "own", FRESH).expect("a file")).expect("it was open");
        raw::rename(one, "own", other, "renamed").expect("within one it works");
        raw::link(one, 0, "renamed", other, "linked").expect("a link too");
    }
    assert_eq!(raw::rename(one, "none", one, "file"), Err(ERRNO_NOENT), "other errors are as they are");
}

/// A slash at the end says that it is a directory.
pub fn slashes(_: &[String]) {
    touch("file");
    raw::make_directory(DIR, "dir/").expect("a directory");
    assert_eq!(raw::open(DIR, "file/", READ), Err(ERRNO_NOTDIR));
    assert_eq!(raw::unlink(DIR, "file/"), Err(ERRNO_NOTDIR));
    assert!(raw::open(DIR, "new/", FRESH).is_err() && !exists("new"));
    assert_eq!(raw::path_stat(DIR, "dir/").map(|stat| stat.filetype), Ok(FILETYPE_DIRECTORY));
    assert_eq!(raw::path_stat(DIR, "./dir//.").map(|stat| stat.filetype), Ok(FILETYPE_DIRECTORY));
    raw::rename(DIR, "dir/", DIR, "renamed/").expect("a directory");
    assert!(raw::rename(DIR, "file", DIR, "renamed-file/").is_err());
    assert_eq!(raw::remove_directory(DIR, "file/"), Err(ERRNO_NOTDIR));
    // An engine may take the slash for a part of the path that is `.`, which is not removed.
    let removed = raw::remove_directory(DIR, "renamed/");
    assert!(removed.is_ok() && !exists("renamed") || removed == Err(ERRNO_INVAL) && exists("renamed"));
    assert!(exists("file"));
}
