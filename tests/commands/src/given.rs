//! What a command is given, and how it ends.

#![forbid(unsafe_code)]

use wasi::{ERRNO_BADF, ERRNO_NOTDIR, ERRNO_PERM};

use crate::raw;

fn print(texts: &[String]) {
    for text in texts {
        println!("{text:?}");
    }
}

/// Prints the arguments behind the behaviour's name, as WASI gives them.
pub fn arguments(given: &[String]) {
    let arguments = raw::arguments();
    assert_eq!(&arguments[2..], given, "the standard library sees the same");
    print(&arguments);
}

/// Prints the environment as WASI gives it.
pub fn variables(_: &[String]) {
    print(&raw::variables());
}

/// Prints the names of the granted directories, from the first possible descriptor on.
pub fn preopens(_: &[String]) {
    let names: Vec<_> = (raw::DIR..).map_while(|fd| raw::preopen(fd).ok()).collect();
    print(&names);
    let next = raw::DIR + u32::try_from(names.len()).expect("a few");
    assert_eq!(raw::preopen(next), Err(ERRNO_BADF));
}

/// No path leads out of the granted directory.
pub fn leaving(_: &[String]) {
    let dir = raw::DIR;
    raw::make_directory(dir, "inner").expect("a directory");
    raw::close(raw::open(dir, "inner/../file", raw::FRESH).expect("a file")).expect("it was open");
    for path in ["..", "../x", "inner/../../x", "/", "/etc/passwd", "inner/../../../etc/passwd"] {
        assert_eq!(raw::open(dir, path, raw::READ), Err(ERRNO_PERM), "{path}");
        assert_eq!(raw::path_stat(dir, path).err(), Some(ERRNO_PERM), "{path}");
        assert_eq!(raw::make_directory(dir, path), Err(ERRNO_PERM), "{path}");
        assert_eq!(raw::unlink(dir, path), Err(ERRNO_PERM), "{path}");
        assert_eq!(raw::rename(dir, "file", dir, path), Err(ERRNO_PERM), "{path}");
        assert_eq!(raw::link(dir, 0, "file", dir, path), Err(ERRNO_PERM), "{path}");
    }
    let file = raw::open(dir, "file", raw::READ).expect("it is still there");
    assert_eq!(raw::open(file, "x", raw::READ), Err(ERRNO_NOTDIR), "a file has nothing below it");
    let inner = raw::open(dir, "inner", raw::LIST).expect("a directory");
    assert_eq!(raw::open(inner, "../file", raw::READ), Err(ERRNO_PERM), "nor does a directory in it");
}

/// Exits with a code.
pub fn exit(given: &[String]) {
    raw::exit(given[0].parse().expect("a number"));
}

pub fn panic(_: &[String]) {
    panic!("out of tea");
}

/// Returns from `main`.
pub fn nothing(_: &[String]) {}
