//! Files: opening, reading, writing, sizes, flags.

#![forbid(unsafe_code)]

use wasi::{
    ERRNO_BADF, ERRNO_EXIST, ERRNO_FBIG, ERRNO_INVAL, ERRNO_ISDIR, ERRNO_NOENT, ERRNO_NOSPC, ERRNO_NOTDIR,
    ERRNO_NOTSUP, ERRNO_PERM, ERRNO_ROFS, FDFLAGS_APPEND, FILETYPE_DIRECTORY, FILETYPE_REGULAR_FILE,
    OFLAGS_CREAT, OFLAGS_DIRECTORY, OFLAGS_EXCL, OFLAGS_TRUNC, RIGHTS_FD_READ, RIGHTS_FD_WRITE, WHENCE_CUR,
    WHENCE_END, WHENCE_SET,
};

use crate::raw::{self, DIR, FRESH, Fd, How, LIST, READ, WRITE};

/// A fresh file with these bytes, read and written from its beginning.
fn with(path: &str, bytes: &str) -> Fd {
    let file = raw::open(DIR, path, FRESH).expect("a file");
    assert_eq!(raw::write(file, bytes), Ok(bytes.len()));
    assert_eq!(raw::seek(file, 0, WHENCE_SET), Ok(0));
    file
}

/// Everything in a file, by another descriptor.
fn text(path: &str) -> String {
    let file = raw::open(DIR, path, READ).expect("a file");
    let bytes = raw::read(file, 4096).expect("its bytes");
    raw::close(file).expect("it was open");
    String::from_utf8(bytes).expect("a text")
}

pub fn open_flags(_: &[String]) {
    let create = |flags| How { open: OFLAGS_CREAT | flags, ..WRITE };
    assert_eq!(raw::open(DIR, "file", WRITE), Err(ERRNO_NOENT));
    assert_eq!(raw::open(DIR, "none/file", create(0)), Err(ERRNO_NOENT));
    let file = raw::open(DIR, "file", create(OFLAGS_EXCL)).expect("a new file");
    assert_eq!(raw::write(file, "text"), Ok(4));
    raw::close(file).expect("it was open");
    assert_eq!(raw::open(DIR, "file", create(OFLAGS_EXCL)), Err(ERRNO_EXIST));
    raw::close(raw::open(DIR, "file", create(0)).expect("an old file")).expect("it was open");
    assert_eq!(text("file"), "text");
    raw::close(raw::open(DIR, "file", How { open: OFLAGS_TRUNC, ..WRITE }).expect("it"))
        .expect("it was open");
    assert_eq!(text("file"), "");
    assert_eq!(raw::open(DIR, "file", How { open: OFLAGS_DIRECTORY, ..READ }), Err(ERRNO_NOTDIR));
    assert_eq!(raw::open(DIR, "file/inside", READ), Err(ERRNO_NOTDIR));
    raw::make_directory(DIR, "dir").expect("a directory");
    assert_eq!(raw::open(DIR, "dir", WRITE), Err(ERRNO_ISDIR));
    assert_eq!(raw::open(DIR, "dir", create(OFLAGS_EXCL)), Err(ERRNO_EXIST));
    for contradiction in [OFLAGS_CREAT | OFLAGS_DIRECTORY, OFLAGS_DIRECTORY | OFLAGS_EXCL] {
        let opened = raw::open(DIR, "contradiction", How { open: contradiction, ..WRITE });
        assert!(opened.is_err(), "no directory is made by opening it");
    }
    assert_eq!(raw::open(DIR, "", READ), Err(ERRNO_NOENT));
    assert!(raw::open(DIR, "a\0b", READ).is_err(), "a zero is in no name");
    assert!(raw::open(DIR, &"x".repeat(300), FRESH).is_err(), "a name has at most 255 bytes");
}

pub fn seeking(_: &[String]) {
    let file = with("file", "hello world");
    assert_eq!(raw::read(file, 5).as_deref(), Ok(&b"hello"[..]));
    assert_eq!(raw::tell(file), Ok(5));
    assert_eq!(raw::seek(file, 1, WHENCE_CUR), Ok(6));
    assert_eq!(raw::write(file, "W"), Ok(1));
    assert_eq!(raw::seek(file, -5, WHENCE_END), Ok(6));
    assert_eq!(raw::read(file, 100).as_deref(), Ok(&b"World"[..]));
    assert_eq!(raw::read(file, 100).as_deref(), Ok(&b""[..]), "the end");
    assert_eq!(raw::seek(file, -1, WHENCE_SET), Err(ERRNO_INVAL));
    assert_eq!(raw::seek(file, -12, WHENCE_CUR), Err(ERRNO_INVAL));
    assert_eq!(raw::tell(file), Ok(11), "a wrong seek moves nothing");
    assert_eq!(raw::seek(file, 4, WHENCE_END), Ok(15));
    assert_eq!(raw::write(file, "!"), Ok(1));
    assert_eq!(text("file"), "hello World\0\0\0\0!");
}

/// One call, several buffers.
pub fn parts(_: &[String]) {
    let file = with("file", "");
    assert!(raw::write_parts(file, &[b"", b"one ", b"", b"two "]).is_ok_and(|written| written > 0));
    let length = usize::try_from(raw::tell(file).expect("a position")).expect("a few");
    assert_eq!(text("file"), "one two "[..length], "as many as it says are written");
    raw::set_size(file, 0).expect("it is emptied");
    raw::seek(file, 0, WHENCE_SET).expect("the beginning");
    assert_eq!(raw::write(file, "one two "), Ok(8));
    raw::seek(file, 0, WHENCE_SET).expect("the beginning");
    let (mut first, mut second) = ([0; 3], [0; 9]);
    let mut read = 0;
    while read < 8 {
        let more =
            raw::read_parts(file, &mut [&mut first[read.min(3)..], &mut second[read.saturating_sub(3)..]]);
        read += more.expect("its bytes");
    }
    assert_eq!((&first, &second[..5]), (b"one", &b" two "[..]));
    assert_eq!(raw::write_parts(file, &[]), Ok(0));
    assert_eq!(raw::read_parts(file, &mut []), Ok(0));
}

pub fn appending(_: &[String]) {
    with("file", "one");
    let file = raw::open(DIR, "file", How { flags: FDFLAGS_APPEND, ..WRITE }).expect("a file");
    assert_eq!(raw::stat(file).expect("a file").fs_flags & FDFLAGS_APPEND, FDFLAGS_APPEND);
    assert_eq!(raw::write(file, " two"), Ok(4));
    assert_eq!(raw::seek(file, 0, WHENCE_SET), Ok(0));
    assert_eq!(raw::write(file, " three"), Ok(6));
    assert_eq!(text("file"), "one two three");
    raw::set_flags(file, 0).expect("the flag is taken off");
    assert_eq!(raw::seek(file, 0, WHENCE_SET), Ok(0));
    assert_eq!(raw::write(file, "ONE"), Ok(3));
    assert_eq!(text("file"), "ONE two three");
    raw::set_flags(file, FDFLAGS_APPEND).expect("and put on");
    if crate::IS_ADAPTED {
        // It goes on with the stream that it has, until the position changes.
        raw::seek(file, 1, WHENCE_SET).expect("a position");
    }
    assert_eq!(raw::write(file, "!"), Ok(1));
    assert_eq!(text("file"), "ONE two three!");
}

/// Reading and writing at a place leaves the file's own position.
pub fn positions(_: &[String]) {
    let file = with("file", "hello world");
    assert_eq!(raw::read_at(file, 5, 6).as_deref(), Ok(&b"world"[..]));
    assert_eq!(raw::read_at(file, 5, 100).as_deref(), Ok(&b""[..]));
    assert_eq!(raw::write_at(file, "H", 0), Ok(1));
    assert_eq!(raw::write_at(file, "!", 12), Ok(1));
    assert_eq!(raw::tell(file), Ok(0));
    assert_eq!(raw::read(file, 100).as_deref(), Ok(&b"Hello world\0!"[..]));
}

pub fn sizes(_: &[String]) {
    let file = with("file", "hello world");
    let size = || raw::file_stat(file).map(|stat| stat.size);
    raw::set_size(file, 5).expect("a shorter file");
    raw::set_size(file, 8).expect("a longer file");
    assert_eq!((size(), text("file").as_str()), (Ok(8), "hello\0\0\0"));
    // An engine may have no such call; then it says so and changes nothing.
    match raw::allocate(file, 0, 100) {
        Ok(()) => assert_eq!(size(), Ok(100)),
        Err(error) => assert_eq!((error, size()), (ERRNO_NOTSUP, Ok(8))),
    }
    raw::set_size(file, 8).expect("a size");
    for advice in [wasi::ADVICE_NORMAL, wasi::ADVICE_SEQUENTIAL, wasi::ADVICE_RANDOM, wasi::ADVICE_WILLNEED] {
        assert_eq!(raw::advise(file, 0, 8, advice), Ok(()), "{advice:?}");
    }
    assert_eq!(raw::advise(file, 0, 0, wasi::ADVICE_DONTNEED), Ok(()));
    assert_eq!(raw::advise(file, 0, 0, wasi::ADVICE_NOREUSE), Ok(()));
    assert_eq!((raw::sync(file), raw::data_sync(file)), (Ok(()), Ok(())));
    assert_eq!(raw::set_size(file, u64::MAX), Err(ERRNO_INVAL), "no size of a file");
    assert_eq!(raw::set_size(file, 1 << 60), Err(ERRNO_FBIG));
    assert_eq!((size(), text("file").as_str()), (Ok(8), "hello\0\0\0"));
}

pub fn flags_and_rights(_: &[String]) {
    with("file", "text");
    let reader = raw::open(DIR, "file", READ).expect("a file");
    let stat = raw::stat(reader).expect("it is open");
    assert_eq!(stat.fs_filetype, FILETYPE_REGULAR_FILE);
    assert_eq!(stat.fs_rights_base & (RIGHTS_FD_READ | RIGHTS_FD_WRITE), RIGHTS_FD_READ);
    assert_eq!(raw::write(reader, "x"), Err(ERRNO_BADF), "it was opened for reading");
    assert_eq!(raw::write_at(reader, "x", 0), Err(ERRNO_BADF));
    assert!(raw::set_size(reader, 0).is_err(), "nor is it emptied");
    let writer = raw::open(DIR, "file", How { rights: RIGHTS_FD_WRITE, ..WRITE }).expect("a file");
    assert!(raw::read(writer, 1).is_err_and(|error| error == ERRNO_BADF || crate::IS_ADAPTED), "for writing");
    // Rights are of the past: a descriptor's cannot be changed, or are changed to no avail.
    let _ = raw::set_rights(reader, raw::ALL, raw::ALL);
    assert!(raw::write(reader, "x").is_err());
    let directory = raw::stat(DIR).expect("a directory");
    assert_eq!(directory.fs_filetype, FILETYPE_DIRECTORY);
    let inner = raw::open(DIR, ".", LIST).expect("a directory");
    assert_eq!(raw::read(inner, 1).err().map(|error| [ERRNO_BADF, ERRNO_ISDIR].contains(&error)), Some(true));
    assert!(raw::write(inner, "x").is_err(), "a directory has no bytes");
    assert!(raw::seek(inner, 0, WHENCE_SET).is_err(), "nor a position");
    assert_eq!(text("file"), "text");
}

pub fn what_a_file_is(_: &[String]) {
    let file = with("file", "hello");
    raw::make_directory(DIR, "dir").expect("a directory");
    let (by_descriptor, by_path) = (raw::file_stat(file), raw::path_stat(DIR, "file"));
    let (by_descriptor, by_path) = (by_descriptor.expect("a file"), by_path.expect("a file"));
    assert_eq!((by_path.dev, by_path.ino), (by_descriptor.dev, by_descriptor.ino));
    assert_eq!((by_path.filetype, by_path.size, by_path.nlink), (FILETYPE_REGULAR_FILE, 5, 1));
    let dir = raw::path_stat(DIR, "dir").expect("a directory");
    assert_eq!(dir.filetype, FILETYPE_DIRECTORY);
    assert_ne!(dir.ino, by_path.ino);
    assert_eq!(raw::path_stat(DIR, "none").err(), Some(ERRNO_NOENT));
    assert!(by_path.mtim > 0 && by_path.ctim > 0 && by_path.atim > 0, "it has times");
}

/// Descriptors are closed, renumbered, and gone.
pub fn descriptors(_: &[String]) {
    let (one, two) = (with("one", "one"), with("two", "two"));
    raw::renumber(one, two).expect("one takes the place of two");
    assert_eq!(raw::read(two, 10).as_deref(), Ok(&b"one"[..]));
    assert_eq!(raw::read(one, 10), Err(ERRNO_BADF));
    raw::close(two).expect("it was open");
    assert_eq!(raw::close(two), Err(ERRNO_BADF));
    for gone in [one, two, 1000, Fd::MAX] {
        assert_eq!(raw::tell(gone), Err(ERRNO_BADF));
        assert_eq!(raw::stat(gone).err(), Some(ERRNO_BADF));
        assert_eq!(raw::file_stat(gone).err(), Some(ERRNO_BADF));
        assert_eq!(raw::open(gone, "one", READ), Err(ERRNO_BADF));
    }
    let file = raw::open(DIR, "one", READ).expect("a file");
    assert!(raw::shut_down(file, 3).is_err(), "a file is no socket");
    // A removed file lives as long as it is open.
    raw::unlink(DIR, "one").expect("it was there");
    assert_eq!(raw::read(file, 10).as_deref(), Ok(&b"one"[..]));
    raw::close(raw::DIR).expect("a granted directory may be closed");
    assert_eq!(raw::open(DIR, "two", READ), Err(ERRNO_BADF));
}

/// In a directory that was granted for reading, with a file `file` and a directory `dir` in it.
pub fn read_only(_: &[String]) {
    let refused = |errno| [ERRNO_PERM, ERRNO_ROFS].contains(&errno);
    for how in [FRESH, WRITE, How { open: OFLAGS_CREAT, ..WRITE }, How { open: OFLAGS_TRUNC, ..READ }] {
        assert!(raw::open(DIR, "file", how).is_err_and(refused));
    }
    assert!(raw::open(DIR, "new", FRESH).is_err_and(refused));
    let file = raw::open(DIR, "file", READ).expect("it may be read");
    assert_eq!(raw::read(file, 100).as_deref(), Ok(&b"text"[..]));
    assert!(raw::set_size(file, 0).is_err());
    assert!(raw::set_times(file, 0, 0, wasi::FSTFLAGS_MTIM).is_err());
    let attempts = [
        raw::make_directory(DIR, "new"),
        raw::remove_directory(DIR, "dir"),
        raw::unlink(DIR, "file"),
        raw::rename(DIR, "file", DIR, "new"),
        raw::symlink("file", DIR, "new"),
        raw::link(DIR, 0, "file", DIR, "new"),
        raw::path_set_times(DIR, 0, "file", 0, 0, wasi::FSTFLAGS_MTIM),
    ];
    for (index, attempt) in attempts.into_iter().enumerate() {
        assert!(attempt.is_err_and(refused), "{index}: {attempt:?}");
    }
}

/// Writes until the disk is full; prints how many bytes went in.
pub fn fill(_: &[String]) {
    let file = raw::open(DIR, "file", FRESH).expect("a file");
    let piece = [b'x'; 64 * 1024];
    let mut bytes = 0;
    let error = loop {
        match raw::write(file, piece) {
            Ok(written) => bytes += written,
            Err(error) => break error,
        }
    };
    assert_eq!(error, ERRNO_NOSPC);
    assert_eq!(raw::write_at(file, piece, bytes as u64), Err(ERRNO_NOSPC));
    assert_eq!(raw::make_directory(DIR, "none").err().unwrap_or(ERRNO_NOSPC), ERRNO_NOSPC);
    assert_eq!(raw::read_at(file, 1, 0).as_deref(), Ok(&b"x"[..]), "what is there is there");
    println!("{bytes}");
}
