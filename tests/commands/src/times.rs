//! Times of files.

#![forbid(unsafe_code)]

use wasi::{
    CLOCKID_REALTIME, ERRNO_INVAL, FSTFLAGS_ATIM, FSTFLAGS_ATIM_NOW, FSTFLAGS_MTIM, FSTFLAGS_MTIM_NOW,
    LOOKUPFLAGS_SYMLINK_FOLLOW,
};

use crate::raw::{self, DIR, FRESH};

const SECOND: u64 = 1_000_000_000;

pub fn setting(_: &[String]) {
    let file = raw::open(DIR, "file", FRESH).expect("a file");
    let times = |path| raw::path_stat(DIR, path).map(|stat| (stat.atim, stat.mtim)).expect("it is there");
    raw::set_times(file, 5 * SECOND + 7, 9 * SECOND + 11, FSTFLAGS_ATIM | FSTFLAGS_MTIM).expect("both");
    assert_eq!(times("file"), (5_000_000_007, 9_000_000_011), "to the nanosecond");
    raw::set_times(file, SECOND, SECOND, FSTFLAGS_ATIM).expect("one");
    assert_eq!(times("file"), (SECOND, 9_000_000_011));
    raw::set_times(file, 0, 0, 0).expect("none");
    assert_eq!(times("file"), (SECOND, 9_000_000_011));
    raw::path_set_times(DIR, 0, "file", 3, 4, FSTFLAGS_ATIM | FSTFLAGS_MTIM).expect("by path");
    assert_eq!(times("file"), (3, 4));
    raw::symlink("file", DIR, "link").expect("a link");
    raw::path_set_times(DIR, 0, "link", 5, 6, FSTFLAGS_ATIM | FSTFLAGS_MTIM).expect("the link's own");
    assert_eq!((times("link").1, times("file")), (6, (3, 4)));
    let follow = LOOKUPFLAGS_SYMLINK_FOLLOW;
    raw::path_set_times(DIR, follow, "link", 7, 8, FSTFLAGS_ATIM | FSTFLAGS_MTIM).expect("the file's");
    assert_eq!((times("link").1, times("file")), (6, (7, 8)));
    // The kernel's clock for files is behind by a few milliseconds.
    let earlier = raw::clock_time(CLOCKID_REALTIME, 1).expect("a time") - SECOND;
    raw::set_times(file, 0, 0, FSTFLAGS_MTIM_NOW | FSTFLAGS_ATIM_NOW).expect("the time that it is");
    let later = raw::clock_time(CLOCKID_REALTIME, 1).expect("a time") + SECOND;
    let (accessed, modified) = times("file");
    assert!((earlier..later).contains(&accessed) && (earlier..later).contains(&modified));
    raw::make_directory(DIR, "dir").expect("a directory");
    raw::path_set_times(DIR, 0, "dir", 0, 10 * SECOND, FSTFLAGS_MTIM).expect("a directory has times too");
    assert_eq!(times("dir").1, 10 * SECOND);
    raw::set_times(file, 5 * SECOND, 86_400 * SECOND, FSTFLAGS_ATIM | FSTFLAGS_MTIM)
        .expect("for the host to see");
}

pub fn contradictory(_: &[String]) {
    let file = raw::open(DIR, "file", FRESH).expect("a file");
    let before = raw::file_stat(file).expect("a file").mtim;
    for flags in [FSTFLAGS_ATIM | FSTFLAGS_ATIM_NOW, FSTFLAGS_MTIM | FSTFLAGS_MTIM_NOW] {
        assert_eq!(raw::set_times(file, 1, 1, flags), Err(ERRNO_INVAL));
        assert_eq!(raw::path_set_times(DIR, 0, "file", 1, 1, flags), Err(ERRNO_INVAL));
    }
    assert_eq!(raw::file_stat(file).expect("a file").mtim, before);
}
