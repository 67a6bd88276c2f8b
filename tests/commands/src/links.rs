//! Links, symbolic and hard.

#![forbid(unsafe_code)]

use wasi::{
    ERRNO_ACCES, ERRNO_EXIST, ERRNO_INVAL, ERRNO_LOOP, ERRNO_NOENT, ERRNO_NOTDIR, ERRNO_PERM,
    FILETYPE_DIRECTORY, FILETYPE_REGULAR_FILE, FILETYPE_SYMBOLIC_LINK, LOOKUPFLAGS_SYMLINK_FOLLOW,
    OFLAGS_CREAT, OFLAGS_EXCL,
};

use crate::raw::{self, DIR, FRESH, How, LIST, READ, WRITE};

fn write(path: &str, text: &str) {
    let file = raw::open(DIR, path, FRESH).expect("a file");
    assert_eq!(raw::write(file, text), Ok(text.len()));
    raw::close(file).expect("it was open");
}

fn read(path: &str) -> raw::Result<String> {
    let file = raw::open(DIR, path, READ)?;
    let bytes = raw::read(file, 4096)?;
    raw::close(file)?;
    Ok(String::from_utf8(bytes).expect("a text"))
}

/// Opens what is at the path itself, not what it leads to.
const UNFOLLOWED: How = How { lookup: 0, ..READ };

pub fn symbolic(_: &[String]) {
    raw::make_directory(DIR, "dir").expect("a directory");
    write("dir/file", "text");
    raw::symlink("dir/file", DIR, "link").expect("a link");
    raw::symlink("../link", DIR, "dir/link").expect("a link to a link");
    raw::symlink("dir", DIR, "to-dir").expect("a link to a directory");
    assert_eq!(raw::symlink("x", DIR, "link"), Err(ERRNO_EXIST));
    assert_eq!(raw::symlink("", DIR, "empty"), Err(ERRNO_NOENT));
    for path in ["link", "dir/link", "to-dir/file", "to-dir/link", "to-dir/../link"] {
        assert_eq!(read(path).as_deref(), Ok("text"), "{path}");
    }
    assert_eq!(raw::read_link(DIR, "link", 100).as_deref(), Ok("dir/file"));
    assert_eq!(raw::read_link(DIR, "link", 5).as_deref(), Ok("dir/f"), "as much as fits");
    assert_eq!(raw::read_link(DIR, "dir/file", 100), Err(ERRNO_INVAL));
    assert_eq!(raw::read_link(DIR, "none", 100), Err(ERRNO_NOENT));
    let kind = |stat: raw::Result<raw::Filestat>| stat.map(|stat| stat.filetype);
    assert_eq!(kind(raw::path_stat(DIR, "link")), Ok(FILETYPE_SYMBOLIC_LINK));
    assert_eq!(kind(raw::followed(DIR, "link")), Ok(FILETYPE_REGULAR_FILE));
    assert_eq!(raw::path_stat(DIR, "link").map(|stat| stat.size), Ok(8), "as long as its text");
    assert_eq!(raw::open(DIR, "link", UNFOLLOWED), Err(ERRNO_LOOP));
    assert!(raw::open(DIR, "to-dir", How { lookup: 0, ..LIST }).is_err());
    raw::open(DIR, "to-dir/file", UNFOLLOWED).expect("only the last part is not followed");
    assert_eq!(kind(raw::path_stat(DIR, "to-dir")), Ok(FILETYPE_SYMBOLIC_LINK));
    assert_eq!(kind(raw::followed(DIR, "to-dir/")), Ok(FILETYPE_DIRECTORY));
    assert_eq!(raw::open(DIR, "link/", READ), Err(ERRNO_NOTDIR));
    assert!(raw::symlink("x", DIR, "new/").is_err_and(|e| [ERRNO_NOENT, ERRNO_NOTDIR].contains(&e)));
    assert_eq!(raw::remove_directory(DIR, "to-dir"), Err(ERRNO_NOTDIR));
    raw::rename(DIR, "link", DIR, "renamed").expect("the link, not the file");
    raw::unlink(DIR, "renamed").expect("the link, not the file");
    raw::unlink(DIR, "to-dir").expect("the link, not the directory");
    assert_eq!(read("dir/file").as_deref(), Ok("text"));
    raw::symlink("as it is/./..//x ", DIR, "verbatim").expect("a link");
    assert_eq!(raw::read_link(DIR, "verbatim", 100).as_deref(), Ok("as it is/./..//x "));
}

pub fn loops(_: &[String]) {
    raw::symlink("self", DIR, "self").expect("a link");
    raw::symlink("b", DIR, "a").expect("a link");
    raw::symlink("a", DIR, "b").expect("a link");
    for path in ["self", "a", "b/x", "self/x"] {
        assert_eq!(raw::open(DIR, path, READ), Err(ERRNO_LOOP), "{path}");
        assert_eq!(raw::followed(DIR, path).err(), Some(ERRNO_LOOP), "{path}");
    }
    assert_eq!(raw::path_stat(DIR, "a").map(|stat| stat.filetype), Ok(FILETYPE_SYMBOLIC_LINK));
    write("end", "text");
    raw::symlink("end", DIR, "step-0").expect("a link");
    for step in 1..30 {
        raw::symlink(&format!("step-{}", step - 1), DIR, &format!("step-{step}")).expect("a link");
    }
    assert_eq!(read("step-29").as_deref(), Ok("text"), "a long way is no loop");
}

pub fn dangling(_: &[String]) {
    raw::symlink("target", DIR, "link").expect("a link");
    assert_eq!(raw::open(DIR, "link", READ), Err(ERRNO_NOENT));
    assert_eq!(raw::followed(DIR, "link").err(), Some(ERRNO_NOENT));
    assert!(raw::path_stat(DIR, "link").is_ok());
    assert!(raw::open(DIR, "link", UNFOLLOWED).is_err());
    assert_eq!(raw::open(DIR, "link", How { open: OFLAGS_CREAT | OFLAGS_EXCL, ..WRITE }), Err(ERRNO_EXIST));
    assert_eq!(raw::make_directory(DIR, "link"), Err(ERRNO_EXIST));
    raw::link(DIR, 0, "link", DIR, "second").expect("a link has a second name too");
    assert_eq!(raw::read_link(DIR, "second", 100).as_deref(), Ok("target"));
    write("target", "text");
    assert_eq!(read("link").as_deref(), Ok("text"), "it leads somewhere once there is something");
    raw::unlink(DIR, "target").expect("a file");
    raw::unlink(DIR, "link").expect("the link");
}

pub fn hard(_: &[String]) {
    write("file", "text");
    raw::make_directory(DIR, "dir").expect("a directory");
    raw::link(DIR, 0, "file", DIR, "dir/second").expect("a second name");
    let (first, second) = (raw::path_stat(DIR, "file"), raw::path_stat(DIR, "dir/second"));
    let (first, second) = (first.expect("a file"), second.expect("a file"));
    assert_eq!((first.ino, first.nlink, second.nlink), (second.ino, 2, 2));
    write("dir/second", "other");
    assert_eq!(read("file").as_deref(), Ok("other"));
    raw::unlink(DIR, "file").expect("one of two names");
    assert_eq!(raw::path_stat(DIR, "dir/second").map(|stat| stat.nlink), Ok(1));
    assert_eq!(raw::link(DIR, 0, "none", DIR, "x"), Err(ERRNO_NOENT));
    write("other", "");
    assert_eq!(raw::link(DIR, 0, "other", DIR, "dir/second"), Err(ERRNO_EXIST));
    assert!(raw::link(DIR, 0, "dir", DIR, "x").is_err_and(|e| [ERRNO_PERM, ERRNO_ACCES].contains(&e)));
    assert!(raw::link(DIR, 0, "other", DIR, "x/").is_err());
    assert_eq!(raw::link(DIR, LOOKUPFLAGS_SYMLINK_FOLLOW, "other", DIR, "y"), Err(ERRNO_INVAL));
}

/// With links in the directory that the host made: to `/etc/passwd` (`absolute`), to `../outside` (`relative`).
pub fn out(_: &[String]) {
    for link in ["absolute", "relative"] {
        assert_eq!(raw::open(DIR, link, READ), Err(ERRNO_PERM), "{link}");
        assert_eq!(raw::open(DIR, link, FRESH), Err(ERRNO_PERM), "{link}");
        assert_eq!(raw::followed(DIR, link).err(), Some(ERRNO_PERM), "{link}");
        assert!(raw::path_stat(DIR, link).is_ok(), "the link itself lies inside");
    }
    assert_eq!(raw::symlink("/etc/passwd", DIR, "made"), Err(ERRNO_PERM), "an absolute link is not made");
    raw::symlink("../outside", DIR, "made").expect("a relative one is made");
    assert_eq!(raw::open(DIR, "made", READ), Err(ERRNO_PERM), "and not followed");
}
