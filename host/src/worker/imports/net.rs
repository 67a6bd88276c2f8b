//! The network, as a guest gets it: the addresses that were granted, and names of those that have one.
//!
//! Nothing is looked up here: the supervisor did, when the names were granted. wasmtime-wasi's own way would start
//! a thread, and ask whomever.

#![forbid(unsafe_code)]

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use wasmtime::StoreContextMut;
use wasmtime::component::{Linker, Resource, ResourceType};
use wasmtime_wasi::p2::bindings::sockets::network::{ErrorCode, IpAddress};
use wasmtime_wasi::p2::{DynPollable, Network, Pollable, subscribe};
use wasmtime_wasi::sockets::SocketAddrUse;
use wasmtime_wasi::{WasiCtxBuilder, WasiView as _, async_trait};

use super::HostState;
use crate::policy::{NetAccess, NetRule};

/// The interface as wasmtime-wasi 48.0.8 links it.
const INTERFACE: &str = "wasi:sockets/ip-name-lookup@0.2.12";

/// Gives a guest these addresses and no other.
pub(super) fn grant(builder: &mut WasiCtxBuilder, rules: &Arc<[NetRule]>) {
    let tcp = |rule: &NetRule| rule.access != NetAccess::Udp;
    let udp = |rule: &NetRule| rule.access == NetAccess::Udp;
    let rules = rules.clone();
    builder
        .allow_tcp(rules.iter().any(tcp))
        .allow_udp(rules.iter().any(udp))
        .allow_ip_name_lookup(false)
        .socket_addr_check(move |address, purpose| {
            let is_allowed = allows(&rules, address, purpose);
            Box::pin(async move { is_allowed })
        });
}

/// Whether an address may be used like this.
fn allows(rules: &[NetRule], address: SocketAddr, purpose: SocketAddrUse) -> bool {
    let (ip, port) = (address.ip(), address.port());
    let any = |access: NetAccess, fits: &dyn Fn(&NetRule) -> bool| {
        rules.iter().any(|rule| rule.access == access && fits(rule))
    };
    let exactly = |rule: &NetRule| rule.port == port && rule.includes(ip);
    match purpose {
        SocketAddrUse::TcpConnect => any(NetAccess::TcpConnect, &exactly),
        // What the system does by itself before it connects is asked for like this too.
        SocketAddrUse::TcpBind if ip.is_unspecified() && port == 0 => {
            any(NetAccess::TcpConnect, &|_| true) || any(NetAccess::TcpListen, &exactly)
        }
        SocketAddrUse::TcpBind => any(NetAccess::TcpListen, &exactly),
        // By now a port that the system chose has its number; no other one could be bound.
        SocketAddrUse::TcpListen => {
            any(NetAccess::TcpListen, &|rule| (rule.port == port || rule.port == 0) && rule.includes(ip))
        }
        SocketAddrUse::TcpAccept => any(NetAccess::TcpListen, &|_| true),
        // Whose port does not matter: nothing is received but what comes from a granted address.
        SocketAddrUse::UdpBind => port == 0 && any(NetAccess::Udp, &|_| true),
        SocketAddrUse::UdpSend | SocketAddrUse::UdpReceive => any(NetAccess::Udp, &exactly),
    }
}

/// The addresses of a name as a guest asks for it. An address is its own.
fn look_up(rules: &[NetRule], name: &str) -> Result<Vec<IpAddr>, ErrorCode> {
    if let Ok(address) = name.trim_start_matches('[').trim_end_matches(']').parse() {
        return Ok(vec![address]);
    }
    let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
    let named = rules.iter().filter(|rule| rule.name.as_ref() == Some(&name));
    let mut addresses: Vec<IpAddr> =
        named.flat_map(|rule| rule.addresses.iter().flatten().copied()).collect();
    addresses.sort_unstable();
    addresses.dedup();
    if addresses.is_empty() { Err(ErrorCode::AccessDenied) } else { Ok(addresses) }
}

/// What is left of the answer to one question.
struct Answer(std::vec::IntoIter<IpAddr>);

#[async_trait]
impl Pollable for Answer {
    async fn ready(&mut self) {}
}

type Store<'a> = StoreContextMut<'a, HostState>;
/// An error of the outer result ends the guest; the inner one is the guest's to handle.
type Told<T> = wasmtime::Result<(Result<T, ErrorCode>,)>;

/// Puts our answers in the place of wasmtime-wasi's. Shadowing must be allowed.
pub(super) fn link(linker: &mut Linker<HostState>) -> wasmtime::Result<()> {
    let mut instance = linker.instance(INTERFACE)?;
    instance.resource("resolve-address-stream", ResourceType::host::<Answer>(), |mut store, answer| {
        store.data_mut().ctx().table.delete(Resource::<Answer>::new_own(answer))?;
        Ok(())
    })?;
    instance.func_wrap(
        "resolve-addresses",
        |mut store: Store<'_>, (network, name): (Resource<Network>, String)| -> Told<Resource<Answer>> {
            let answer = look_up(&store.data().nets, &name);
            let table = store.data_mut().ctx().table;
            table.get(&network)?;
            Ok((match answer {
                Ok(addresses) => Ok(table.push(Answer(addresses.into_iter()))?),
                Err(code) => Err(code),
            },))
        },
    )?;
    instance.func_wrap(
        "[method]resolve-address-stream.resolve-next-address",
        |mut store: Store<'_>, (answer,): (Resource<Answer>,)| -> Told<Option<IpAddress>> {
            let next = store.data_mut().ctx().table.get_mut(&answer)?.0.next();
            Ok((Ok(next.map(IpAddress::from)),))
        },
    )?;
    instance.func_wrap(
        "[method]resolve-address-stream.subscribe",
        |mut store: Store<'_>,
         (answer,): (Resource<Answer>,)|
         -> wasmtime::Result<(Resource<DynPollable>,)> {
            Ok((subscribe(store.data_mut().ctx().table, answer)?,))
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use SocketAddrUse::*;

    fn rule(access: NetAccess, name: Option<&str>, addresses: Option<&[&str]>, port: u16) -> NetRule {
        let addresses = addresses.map(|all| all.iter().map(|address| address.parse().unwrap()).collect());
        NetRule { access, name: name.map(str::to_owned), addresses, port }
    }

    #[test]
    fn an_address_may_be_used_as_it_was_granted() {
        let connect = [rule(NetAccess::TcpConnect, None, Some(&["10.0.0.1", "::1"]), 80)];
        let anybody = [rule(NetAccess::TcpConnect, None, None, 443)];
        let listen = [rule(NetAccess::TcpListen, None, Some(&["127.0.0.1"]), 8080)];
        let everywhere = [rule(NetAccess::TcpListen, None, None, 8080)];
        let chosen = [rule(NetAccess::TcpListen, None, Some(&["127.0.0.1"]), 0)];
        let udp = [rule(NetAccess::Udp, None, Some(&["10.0.0.1"]), 53)];
        for (rules, purpose, address, expected) in [
            (&connect, TcpConnect, "10.0.0.1:80", true),
            (&connect, TcpConnect, "[::1]:80", true),
            (&connect, TcpConnect, "10.0.0.1:81", false),
            (&connect, TcpConnect, "10.0.0.2:80", false),
            (&connect, TcpBind, "0.0.0.0:0", true),
            (&connect, TcpBind, "[::]:0", true),
            (&connect, TcpBind, "127.0.0.1:0", false),
            (&connect, TcpBind, "10.0.0.1:80", false),
            (&connect, TcpListen, "0.0.0.0:0", false),
            (&connect, TcpListen, "0.0.0.0:40000", false),
            (&connect, TcpAccept, "10.0.0.1:80", false),
            (&connect, UdpBind, "0.0.0.0:0", false),
            (&connect, UdpSend, "10.0.0.1:80", false),
            (&anybody, TcpConnect, "10.9.9.9:443", true),
            (&anybody, TcpConnect, "[2001:db8::1]:443", true),
            (&anybody, TcpConnect, "10.9.9.9:80", false),
            (&listen, TcpBind, "127.0.0.1:8080", true),
            (&listen, TcpListen, "127.0.0.1:8080", true),
            (&listen, TcpAccept, "10.9.9.9:50000", true),
            (&listen, TcpBind, "0.0.0.0:8080", false),
            (&listen, TcpBind, "127.0.0.1:8081", false),
            (&listen, TcpBind, "0.0.0.0:0", false),
            (&listen, TcpListen, "127.0.0.1:8081", false),
            (&listen, TcpConnect, "127.0.0.1:8080", false),
            (&everywhere, TcpBind, "0.0.0.0:8080", true),
            (&everywhere, TcpBind, "[::1]:8080", true),
            (&everywhere, TcpBind, "0.0.0.0:0", false),
            (&chosen, TcpBind, "127.0.0.1:0", true),
            (&chosen, TcpBind, "127.0.0.1:8080", false),
            (&chosen, TcpBind, "0.0.0.0:0", false),
            (&chosen, TcpListen, "127.0.0.1:40000", true),
            (&chosen, TcpListen, "0.0.0.0:40000", false),
            (&udp, UdpBind, "0.0.0.0:0", true),
            (&udp, UdpBind, "0.0.0.0:53", false),
            (&udp, UdpSend, "10.0.0.1:53", true),
            (&udp, UdpSend, "10.0.0.1:54", false),
            (&udp, UdpReceive, "10.0.0.1:53", true),
            (&udp, UdpReceive, "10.0.0.2:53", false),
            (&udp, TcpConnect, "10.0.0.1:53", false),
            (&udp, TcpBind, "0.0.0.0:0", false),
        ] {
            let address: SocketAddr = address.parse().unwrap();
            assert_eq!(allows(rules, address, purpose), expected, "{purpose:?} {address}");
            assert!(!allows(&[], address, purpose), "nothing is granted by itself");
        }
    }

    #[test]
    fn a_name_has_the_addresses_that_it_was_granted_with() {
        let rules = [
            rule(NetAccess::TcpConnect, Some("one.example"), Some(&["10.0.0.2", "10.0.0.1"]), 80),
            rule(NetAccess::Udp, Some("one.example"), Some(&["10.0.0.2", "::1"]), 53),
            rule(NetAccess::TcpConnect, None, None, 443),
        ];
        let ips = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect::<Vec<IpAddr>>();
        for name in ["one.example", "ONE.example.", "One.Example"] {
            assert_eq!(look_up(&rules, name).unwrap(), ips(&["10.0.0.1", "10.0.0.2", "::1"]), "{name}");
        }
        for name in ["two.example", "example", "", ".", "one.example..", "localhost"] {
            assert!(matches!(look_up(&rules, name), Err(ErrorCode::AccessDenied)), "{name}");
        }
        assert_eq!(look_up(&[], "10.1.2.3").unwrap(), ips(&["10.1.2.3"]));
        assert_eq!(look_up(&[], "::2").unwrap(), ips(&["::2"]));
    }
}
