//! Standard input, output and error.

#![forbid(unsafe_code)]

use wasi::{ERRNO_BADF, ERRNO_SPIPE, FILETYPE_CHARACTER_DEVICE, WHENCE_CUR};

use crate::raw;

/// Copies standard input to standard output, as much at a time as there is.
pub fn copy(_: &[String]) {
    loop {
        let bytes = raw::read(0, 5000).expect("input");
        if bytes.is_empty() {
            break;
        }
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            let written = raw::write(1, rest).expect("output");
            rest = &rest[written..];
        }
    }
    assert_eq!(raw::read(0, 10).as_deref(), Ok(&b""[..]), "the end stays the end");
}

pub fn both_outputs(_: &[String]) {
    assert_eq!(raw::write(1, "out\n"), Ok(4));
    assert_eq!(raw::write(2, "err\n"), Ok(4));
    assert!(raw::write_parts(1, &[b"", b"more", b" out\n"]).is_ok_and(|written| written > 0));
    assert_eq!(raw::write(1, ""), Ok(0));
}

/// What the streams are, whatever the host has at its end. Prints whether one is a terminal.
pub fn kinds(_: &[String]) {
    let is_terminal = |fd| raw::stat(fd).expect("it is open").fs_filetype == FILETYPE_CHARACTER_DEVICE;
    for fd in [0, 1, 2] {
        assert!(raw::file_stat(fd).is_ok(), "{fd}");
        assert_eq!(raw::seek(fd, 0, WHENCE_CUR), Err(ERRNO_SPIPE), "{fd}");
        assert_eq!(raw::tell(fd), Err(ERRNO_SPIPE), "{fd}");
        assert!(raw::preopen(fd).is_err(), "{fd} is no directory");
    }
    assert_eq!(raw::write(0, "x"), Err(ERRNO_BADF), "input is not written");
    assert_eq!(raw::read(1, 1), Err(ERRNO_BADF), "output is not read");
    println!("{}", [0, 1, 2].into_iter().any(is_terminal));
}

/// A stream may be closed.
pub fn closed(_: &[String]) {
    assert_eq!(raw::write(1, "before\n"), Ok(7));
    for fd in [0, 1] {
        raw::close(fd).expect("it was open");
        assert_eq!(raw::close(fd), Err(ERRNO_BADF));
    }
    assert_eq!(raw::read(0, 1), Err(ERRNO_BADF));
    assert_eq!(raw::write(1, "after\n"), Err(ERRNO_BADF));
    assert_eq!(raw::write(2, "error\n"), Ok(6));
}
