//! How `--dir`, `--file`, `--env` and `--net` are read, before anything is opened or looked up.
//!
//! A colon may be part of a path, so whatever could mean something else is refused with what would be right, and nothing
//! is granted for writing that was perhaps meant to be read-only.

#![forbid(unsafe_code)]

use std::ffi::{OsStr, OsString};
use std::net::Ipv6Addr;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;

use wasmpool::{DirAccess, NetAccess};

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

/// `--net`, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetOption {
    /// What may be done there.
    pub access: NetAccess,
    /// A name, an address without brackets, or `*`.
    pub host: String,
    /// 0 only where it is listened on.
    pub port: u16,
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

const NET_FORM: &str = "write HOST:PORT, udp:HOST:PORT or tcp-listen:HOST:PORT, such as example.com:443";

/// `HOST:PORT`, `tcp:HOST:PORT`, `udp:HOST:PORT` or `tcp-listen:HOST:PORT`.
pub fn network(text: &str) -> Result<NetOption, String> {
    let (access, place) = net_access(text)?;
    let (host, port) = host_and_port(place)?;
    let is_number = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    let number = if is_number { port.parse::<u16>().ok() } else { None };
    match number {
        Some(port) if port > 0 || access == NetAccess::TcpListen => {
            Ok(NetOption { access, host: host.to_owned(), port })
        }
        Some(_) => {
            Err("nobody has port 0: it stands for one that the system chooses, after `tcp-listen:`"
                .to_owned())
        }
        None => Err(format!("`{port}` is no PORT, which is a number from 1 to 65535: {NET_FORM}")),
    }
}

/// Takes what stands before HOST off.
fn net_access(text: &str) -> Result<(NetAccess, &str), String> {
    let Some((word, rest)) = text.split_once(':') else {
        return Err(format!("PORT is missing: {NET_FORM}"));
    };
    let access = match word {
        "tcp" => NetAccess::TcpConnect,
        "udp" => NetAccess::Udp,
        "tcp-listen" => NetAccess::TcpListen,
        _ => return Ok((NetAccess::TcpConnect, text)),
    };
    if rest.contains(':') {
        return Ok((access, rest));
    }
    Err(match access {
        NetAccess::TcpListen => format!(
            "HOST or PORT is missing: write tcp-listen:127.0.0.1:{rest} for this machine alone, or tcp-listen:*:{rest} for \
             everybody"
        ),
        _ => format!(
            "HOST or PORT is missing after `{word}:`; for a host of that name, write tcp:{word}:{rest}"
        ),
    })
}

fn host_and_port(place: &str) -> Result<(&str, &str), String> {
    if let Some(inside) = place.strip_prefix('[') {
        let (host, port) = inside
            .split_once("]:")
            .ok_or_else(|| format!("an IPv6 address is written [ADDRESS]:PORT: {NET_FORM}"))?;
        return match host.parse::<Ipv6Addr>() {
            Ok(_) => Ok((host, port)),
            Err(_) => Err(format!("`{host}` in brackets is no IPv6 address")),
        };
    }
    let (host, port) = place.rsplit_once(':').ok_or_else(|| format!("PORT is missing: {NET_FORM}"))?;
    if place.parse::<Ipv6Addr>().is_ok() || host.parse::<Ipv6Addr>().is_ok() {
        return Err(format!("an IPv6 address stands in brackets, before its PORT: {NET_FORM}"));
    }
    match host.split_once(':') {
        Some((word, _)) => Err(format!("`{word}:` before a host is unknown: {NET_FORM}")),
        None if host.is_empty() => Err(format!("HOST is empty; `*` is every address: {NET_FORM}")),
        None => Ok((host, port)),
    }
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
    fn an_address_has_a_port_and_perhaps_a_way_to_use_it() {
        let (connect, listen, udp) = (NetAccess::TcpConnect, NetAccess::TcpListen, NetAccess::Udp);
        for (text, access, host, port) in [
            ("example.com:443", connect, "example.com", 443),
            ("tcp:example.com:443", connect, "example.com", 443),
            ("10.0.0.1:1", connect, "10.0.0.1", 1),
            ("[::1]:65535", connect, "::1", 65_535),
            ("*:443", connect, "*", 443),
            ("udp:[2001:db8::1]:53", udp, "2001:db8::1", 53),
            ("udp:ns.example:53", udp, "ns.example", 53),
            ("tcp-listen:127.0.0.1:8080", listen, "127.0.0.1", 8080),
            ("tcp-listen:*:0", listen, "*", 0),
            ("tcp-listen:[::]:80", listen, "::", 80),
            // A host whose name is a word of ours.
            ("tcp:udp:53", connect, "udp", 53),
        ] {
            let option = NetOption { access, host: host.to_owned(), port };
            assert_eq!(network(text), Ok(option), "{text}");
        }
    }

    #[test]
    fn what_is_no_address_with_a_port_is_refused_with_what_would_be_right() {
        for (text, says) in [
            ("", "PORT is missing"),
            ("example.com", "PORT is missing"),
            ("*", "PORT is missing"),
            ("example.com:", "`` is no PORT"),
            ("example.com:http", "`http` is no PORT"),
            ("example.com:+80", "`+80` is no PORT"),
            ("example.com:65536", "`65536` is no PORT"),
            ("example.com:80-90", "`80-90` is no PORT"),
            ("example.com:*", "`*` is no PORT"),
            ("example.com:443/path", "`443/path` is no PORT"),
            ("example.com:0", "nobody has port 0"),
            ("udp:*:0", "nobody has port 0"),
            (":80", "HOST is empty"),
            ("tcp::80", "HOST is empty"),
            ("udp:53", "for a host of that name, write tcp:udp:53"),
            ("tcp:80", "write tcp:tcp:80"),
            (
                "tcp-listen:8080",
                "write tcp-listen:127.0.0.1:8080 for this machine alone, or tcp-listen:*:8080",
            ),
            ("http://example.com", "`//example.com` is no PORT"),
            ("http://example.com:80", "`http:` before a host is unknown"),
            ("UDP:example.com:53", "`UDP:` before a host is unknown"),
            ("udp-listen:*:53", "`udp-listen:` before a host is unknown"),
            ("::1", "an IPv6 address stands in brackets"),
            ("::1:80", "an IPv6 address stands in brackets"),
            ("udp:2001:db8::1:53", "an IPv6 address stands in brackets"),
            ("[::1]", "[ADDRESS]:PORT"),
            ("[::1]80", "[ADDRESS]:PORT"),
            ("[localhost]:80", "`localhost` in brackets is no IPv6 address"),
            ("[fe80::1%lo]:80", "`fe80::1%lo` in brackets is no IPv6 address"),
        ] {
            let error = network(text).unwrap_err();
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
