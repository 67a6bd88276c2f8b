//! How `--dir`, `--file` and `--env` are read, before anything is opened or looked up.
//!
//! A colon may be part of a path, so whatever could mean something else is refused with what would be right, and nothing
//! is granted for writing that was perhaps meant to be read-only.

#![forbid(unsafe_code)]

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;

use wasmpool::DirAccess;

/// `--dir` or `--file`, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirOption {
    /// The directory or file, as it was typed.
    pub host: PathBuf,
    /// Where the guest sees it.
    pub guest: String,
    /// What the guest may do there.
    pub access: DirAccess,
}

/// `--env`, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnvOption {
    /// The variable's name.
    pub name: String,
    /// Its value; `None` is the value that it has here.
    pub value: Option<String>,
}

const FORM: &str = "write HOST, HOST::GUEST or HOST::GUEST:ro, such as photos::/photos:ro";
const BETWEEN: &[u8] = b"::";

/// `HOST[::GUEST][:ro]`.
pub fn directory(text: &OsStr) -> Result<DirOption, String> {
    let text = text.as_bytes();
    let between = text.windows(BETWEEN.len()).position(|bytes| bytes == BETWEEN);
    let (host, guest) = match between {
        Some(at) => (&text[..at], Some(&text[at + BETWEEN.len()..])),
        None => (text, None),
    };
    let (last, access) = mode(guest.unwrap_or(host))?;
    let (host, guest) = match guest {
        Some(_) => (host, Some(last)),
        None => (last, None),
    };
    if mode(host)?.1 == DirAccess::ReadOnly {
        return Err(format!("`:ro` stands once, at the end: {FORM}"));
    }
    if host.is_empty() {
        return Err(format!("HOST is empty: {FORM}"));
    }
    let host = PathBuf::from(OsString::from_vec(host.to_vec()));
    let Some(guest) = guest else {
        let guest = host.to_str().ok_or_else(|| format!("a path that is not UTF-8 needs a GUEST: {FORM}"))?;
        return Ok(DirOption { guest: guest.to_owned(), host, access });
    };
    let guest = str::from_utf8(guest).map_err(|_| "GUEST is not UTF-8, as WASI asks for".to_owned())?;
    if guest.is_empty() {
        return Err(format!("GUEST is empty: {FORM}"));
    }
    if is_mode(guest.as_bytes()) {
        let shown = host.display();
        return Err(format!(
            "`{guest}` after two colons would be GUEST: write {shown}:ro to let it only be read, or {shown}::/{guest}"
        ));
    }
    if guest.starts_with(':') || guest.contains("::") {
        return Err(format!("`::` stands once, between HOST and GUEST: {FORM}"));
    }
    if mode(guest.as_bytes())?.1 == DirAccess::ReadOnly {
        return Err(format!("`:ro` stands once, at the end: {FORM}"));
    }
    Ok(DirOption { host, guest: guest.to_owned(), access })
}

/// Takes `:ro` off the end.
fn mode(text: &[u8]) -> Result<(&[u8], DirAccess), String> {
    let Some(colon) = text.iter().rposition(|byte| *byte == b':') else {
        return Ok((text, DirAccess::ReadWrite));
    };
    match &text[colon + 1..] {
        b"ro" => Ok((&text[..colon], DirAccess::ReadOnly)),
        // `:rw` of other programs, and `:RO`, which must not be granted for writing.
        other if is_mode(other) => Err(format!(
            "`:{}` is unknown: `:ro` lets it only be read, without it it may be written",
            String::from_utf8_lossy(other)
        )),
        _ => Ok((text, DirAccess::ReadWrite)),
    }
}

/// Whether a word is a mode here or in other programs.
fn is_mode(word: &[u8]) -> bool {
    [&b"ro"[..], b"rw", b"r", b"w", b"readonly"].iter().any(|mode| word.eq_ignore_ascii_case(mode))
}

/// `NAME` or `NAME=VALUE`.
pub fn variable(text: &str) -> Result<EnvOption, String> {
    let (name, value) = match text.split_once('=') {
        Some((name, value)) => (name, Some(value.to_owned())),
        None => (text, None),
    };
    if name.is_empty() {
        return Err("NAME is empty: write NAME or NAME=VALUE".to_owned());
    }
    Ok(EnvOption { name: name.to_owned(), value })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_has_a_path_for_the_guest_and_a_mode() {
        let (read, write) = (DirAccess::ReadOnly, DirAccess::ReadWrite);
        for (text, host, guest, access) in [
            ("photos", "photos", "photos", write),
            ("photos:ro", "photos", "photos", read),
            ("/srv/photos::/photos", "/srv/photos", "/photos", write),
            ("/srv/photos::/photos:ro", "/srv/photos", "/photos", read),
            ("..::/up", "..", "/up", write),
            (".:ro", ".", ".", read),
            // A colon in a path.
            ("a:b", "a:b", "a:b", write),
            ("a:b:ro", "a:b", "a:b", read),
            ("a:b::/c:d:ro", "a:b", "/c:d", read),
            ("a:row", "a:row", "a:row", write),
            // Directories whose names end like that.
            ("a:ro/", "a:ro/", "a:ro/", write),
            ("a:ro/:ro", "a:ro/", "a:ro/", read),
            ("a:rw/::/b", "a:rw/", "/b", write),
            ("ro", "ro", "ro", write),
            ("ro::/ro", "ro", "/ro", write),
            ("a b ä", "a b ä", "a b ä", write),
        ] {
            let option = DirOption { host: host.into(), guest: guest.to_owned(), access };
            assert_eq!(directory(text.as_ref()), Ok(option), "{text}");
        }
    }

    #[test]
    fn what_could_mean_something_else_is_refused_with_what_would_be_right() {
        for (text, says) in [
            ("", "HOST is empty"),
            (":ro", "HOST is empty"),
            ("::", "HOST is empty"),
            ("::/data", "HOST is empty"),
            ("::/data:ro", "HOST is empty"),
            ("data::", "GUEST is empty"),
            ("data:::ro", "GUEST is empty"),
            ("data::/a::/b", "`::` stands once"),
            ("data:::/b", "`::` stands once"),
            ("data::::", "`::` stands once"),
            ("data::ro", "write data:ro to let it only be read, or data::/ro"),
            ("data::RW", "or data::/RW"),
            ("data:rw", "`:rw` is unknown: `:ro` lets"),
            ("data:RO", "`:RO` is unknown"),
            ("data:r", "`:r` is unknown"),
            ("data::/data:rw", "`:rw` is unknown"),
            ("data:rw::/data", "`:rw` is unknown"),
            ("data:ro::/data", "`:ro` stands once, at the end"),
            ("data:ro::/data:ro", "`:ro` stands once, at the end"),
            ("data:ro:ro", "`:ro` stands once, at the end"),
            ("data::/data:ro:ro", "`:ro` stands once, at the end"),
        ] {
            let error = directory(text.as_ref()).unwrap_err();
            assert!(error.contains(says), "{text}: {error}");
            assert_eq!(error.lines().count(), 1, "{error}");
        }
    }

    #[test]
    fn a_host_path_need_not_be_text() {
        let bytes = |bytes: &[u8]| directory(OsStr::from_bytes(bytes));
        let option = bytes(b"\xff::/data:ro").unwrap();
        assert_eq!((option.host.as_os_str().as_bytes(), option.guest.as_str()), (&b"\xff"[..], "/data"));
        assert!(bytes(b"\xff").unwrap_err().contains("needs a GUEST"));
        assert!(bytes(b"data::\xff").unwrap_err().contains("not UTF-8"));
    }

    #[test]
    fn a_variable_has_a_name_and_perhaps_a_value() {
        let option = |name: &str, value: Option<&str>| {
            Ok(EnvOption { name: name.to_owned(), value: value.map(str::to_owned) })
        };
        assert_eq!(variable("A"), option("A", None));
        assert_eq!(variable("A="), option("A", Some("")));
        assert_eq!(variable("A=b=c"), option("A", Some("b=c")));
        for wrong in ["", "=", "=1"] {
            assert!(variable(wrong).unwrap_err().contains("NAME is empty"), "{wrong}");
        }
    }
}
