//! Addresses of the network that a task may use, looked up once, where they were granted.
//!
//! What is granted is addresses and not a name: whatever the name stands for later is something else. A guest that asks
//! for a granted name gets these addresses, and nobody is asked for it.

#![forbid(unsafe_code)]

use std::net::{IpAddr, ToSocketAddrs};
use std::sync::mpsc;

use crate::limits::{NAME_LOOKUP_TIME_MAX, NET_ADDRESSES_MAX, NETS_MAX};
use crate::policy::{NetAccess, NetRule};

/// An address of the network, or every one, with a port and with what may be done there.
///
/// ```no_run
/// use wasmpool::{GrantedNet, NetAccess};
///
/// let server = GrantedNet::open(NetAccess::TcpConnect, "example.com", 443)?;
/// let anybody = GrantedNet::open(NetAccess::TcpConnect, "*", 443)?;
/// let clients = GrantedNet::open(NetAccess::TcpListen, "127.0.0.1", 8080)?;
/// # Ok::<(), wasmpool::NetGrantError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct GrantedNet {
    rule: NetRule,
}

/// Why an address cannot be granted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GrantError {
    /// It is neither a name nor an address.
    #[error(
        "`{0}` is no host: a name, an IPv4 address, an IPv6 address, or `*` for every address was expected"
    )]
    Host(String),
    /// The address that stands for no address.
    #[error("nobody has the address `{0}`: write `*` for every address")]
    Unspecified(IpAddr),
    /// A port that the system chooses, where one is meant that somebody else has.
    #[error(
        "nobody has port 0: a number from 1 to 65535 was expected; 0 is one to listen on, which the system chooses"
    )]
    Port,
    /// Its name has no address, or none that came in time.
    #[error("the host `{name}` cannot be looked up: {reason}")]
    NotFound {
        /// The name.
        name: String,
        /// What the system says.
        reason: String,
    },
    /// More than 32.
    #[error("{0} addresses of the network are granted, at most {NETS_MAX} can be")]
    TooMany(usize),
    /// Names with more than 256 addresses together.
    #[error(
        "the names that are granted have {0} addresses together, at most {NET_ADDRESSES_MAX} can be granted"
    )]
    TooManyAddresses(usize),
}

impl GrantedNet {
    /// Grants a port of a host: a name, an address, or `*` for every address.
    ///
    /// A name is looked up here, by the system's own means, which takes up to 5 s: async code calls this where it may block. What
    /// is listened on is an address of this machine, `*` stands for all of them, and port 0 for one that
    /// the system chooses.
    ///
    /// # Errors
    ///
    /// When `host` is no host, or a name that has no address; when the port is 0 and not to be listened on.
    pub fn open(access: NetAccess, host: &str, port: u16) -> Result<Self, GrantError> {
        let is_own = access == NetAccess::TcpListen;
        if port == 0 && !is_own {
            return Err(GrantError::Port);
        }
        if host == "*" {
            return Ok(Self { rule: NetRule { access, name: None, addresses: None, port } });
        }
        if let Ok(address) = host.parse::<IpAddr>() {
            let address = address.to_canonical();
            if address.is_unspecified() && !is_own {
                return Err(GrantError::Unspecified(address));
            }
            return Ok(Self { rule: NetRule { access, name: None, addresses: Some(vec![address]), port } });
        }
        let name = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
        if !is_name(&name) {
            return Err(GrantError::Host(host.to_owned()));
        }
        let mut addresses =
            look_up(&name).map_err(|reason| GrantError::NotFound { name: name.clone(), reason })?;
        addresses.sort_unstable();
        addresses.dedup();
        Ok(Self { rule: NetRule { access, name: Some(name), addresses: Some(addresses), port } })
    }

    pub(crate) fn rule(&self) -> &NetRule {
        &self.rule
    }
}

/// A name as it is asked for: letters, digits, `-` and `_`, in parts. The last part has a letter, because the system
/// takes numbers alone for addresses, such as `127.1`.
fn is_name(name: &str) -> bool {
    let is_part = |part: &str| {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        (1..=63).contains(&part.len()) && part.bytes().all(fits) && !part.starts_with('-')
    };
    let last = name.rsplit('.').next().unwrap_or(name);
    let is_number = last.bytes().all(|byte| byte.is_ascii_digit()) || last.starts_with("0x");
    name.len() <= 253 && name.split('.').all(is_part) && !is_number
}

/// Asks the system, on a thread that nobody waits for longer than that.
fn look_up(name: &str) -> Result<Vec<IpAddr>, String> {
    let (sender, receiver) = mpsc::channel();
    let asked = name.to_owned();
    let thread = std::thread::Builder::new().name("wasmpool-lookup".to_owned()).spawn(move || {
        let found = (asked.as_str(), 0).to_socket_addrs();
        // Too late is for nobody.
        let _ = sender.send(found.map(|all| all.map(|one| one.ip().to_canonical()).collect::<Vec<_>>()));
    });
    let thread = thread.map_err(|error| error.to_string())?;
    let found = receiver
        .recv_timeout(NAME_LOOKUP_TIME_MAX)
        .map_err(|_| format!("there was no answer within {NAME_LOOKUP_TIME_MAX:?}"))?;
    // It has nothing left to do.
    let _ = thread.join();
    match found {
        Ok(addresses) if addresses.is_empty() => Err("it has no address".to_owned()),
        found => found.map_err(|error| error.to_string()),
    }
}

/// Whether these can be granted together.
pub(crate) fn check(nets: &[GrantedNet]) -> Result<(), GrantError> {
    let addresses: usize = nets.iter().map(|net| net.rule.addresses.as_ref().map_or(0, Vec::len)).sum();
    if nets.len() > NETS_MAX {
        Err(GrantError::TooMany(nets.len()))
    } else if addresses > NET_ADDRESSES_MAX {
        Err(GrantError::TooManyAddresses(addresses))
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connect(host: &str, port: u16) -> Result<GrantedNet, GrantError> {
        GrantedNet::open(NetAccess::TcpConnect, host, port)
    }

    #[test]
    fn a_host_is_a_name_an_address_or_every_address() {
        let addresses = |host: &str| connect(host, 80).unwrap().rule.addresses;
        assert_eq!(addresses("*"), None);
        assert_eq!(addresses("10.0.0.1"), Some(vec!["10.0.0.1".parse().unwrap()]));
        assert_eq!(addresses("::1"), Some(vec!["::1".parse().unwrap()]));
        assert_eq!(addresses("::ffff:10.0.0.1"), addresses("10.0.0.1"));
        let local = connect("LocalHost.", 80).unwrap().rule;
        assert_eq!(local.name.as_deref(), Some("localhost"));
        let found = local.addresses.unwrap();
        assert!(!found.is_empty() && found.iter().all(IpAddr::is_loopback), "{found:?}");
    }

    #[test]
    fn what_is_no_host_is_refused_before_anybody_is_asked() {
        let wrong = [
            "",
            ".",
            "a..b",
            "127.1",
            "1",
            "1.2.3.4.5",
            "0x7f000001",
            "a.0x7f",
            "[::1]",
            "a b",
            "a/b",
            "é.example",
            "-a",
            "a:b",
            "*.example",
            "fe80::1%lo",
        ];
        for host in wrong {
            assert_eq!(connect(host, 80), Err(GrantError::Host(host.to_owned())), "{host}");
        }
        assert!(matches!(connect(&"a.".repeat(200), 80), Err(GrantError::Host(_))));
        assert_eq!(connect("0.0.0.0", 80), Err(GrantError::Unspecified("0.0.0.0".parse().unwrap())));
        assert_eq!(connect("10.0.0.1", 0), Err(GrantError::Port));
        assert_eq!(connect("*", 0), Err(GrantError::Port));
        for host in ["*", "0.0.0.0", "::", "127.0.0.1"] {
            GrantedNet::open(NetAccess::TcpListen, host, 0).unwrap();
        }
    }

    #[test]
    fn a_name_without_an_address_is_named() {
        let refused = connect("no-such-host.invalid", 80).unwrap_err().to_string();
        assert!(refused.contains("the host `no-such-host.invalid` cannot be looked up"), "{refused}");
    }

    #[test]
    fn all_of_them_together_have_limits() {
        let nets = |count: u16| (0..count).map(|port| connect("*", port + 1).unwrap()).collect::<Vec<_>>();
        assert_eq!(check(&nets(32)), Ok(()));
        assert_eq!(check(&nets(33)), Err(GrantError::TooMany(33)));
        let mut large = connect("*", 1).unwrap();
        large.rule.addresses = Some(vec!["10.0.0.1".parse().unwrap(); 200]);
        assert_eq!(check(&[large.clone()]), Ok(()));
        assert_eq!(check(&[large.clone(), large]), Err(GrantError::TooManyAddresses(400)));
    }
}
