//! The system calls that sockets need, each with what needs it. A worker without a granted address has none of them.
//!
//! The filter sees the kind of a socket where it is made, and cannot see an address: those are checked by WASI, and TCP ports by
//! Landlock. Kinds of sockets that Landlock does not know (MPTCP, SCTP and so on) cannot be made, and neither can a
//! TCP socket become one by an option, or be connected by sending.

#![forbid(unsafe_code)]

use super::rules::{Rule, When, rules};

const DOMAIN: u8 = 0;
const KIND: u8 = 1;
const PROTOCOL: u8 = 2;
const LEVEL: u8 = 1;
const OPTION: u8 = 2;
const FLAGS: u8 = 3;
const ADDRESS: u8 = 4;

const INET: (u8, u64) = (DOMAIN, libc::AF_INET as u64);
const INET6: (u8, u64) = (DOMAIN, libc::AF_INET6 as u64);
const UNIX: (u8, u64) = (DOMAIN, libc::AF_UNIX as u64);
const NEW: i32 = libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
const STREAM: (u8, u64) = (KIND, (libc::SOCK_STREAM | NEW) as u64);
const DATAGRAM: (u8, u64) = (KIND, (libc::SOCK_DGRAM | NEW) as u64);
const TCP_PROTOCOL: (u8, u64) = (PROTOCOL, libc::IPPROTO_TCP as u64);
const DEFAULT_PROTOCOL: (u8, u64) = (PROTOCOL, 0);
/// Not MSG_FASTOPEN, which connects a TCP socket past Landlock.
const SENT: (u8, u64) = (FLAGS, libc::MSG_NOSIGNAL as u64);

const fn option(level: i32, option: i32) -> [(u8, u64); 2] {
    [(LEVEL, level as u64), (OPTION, option as u64)]
}

/// What both kinds of sockets need.
pub(super) const ANY: &[Rule] = rules! {
    SYS_epoll_create1, "the executor, which waits for sockets";
    SYS_epoll_ctl, "the same";
    SYS_epoll_wait, "the same";
    SYS_epoll_pwait, "the same";
    SYS_eventfd2, "waking the executor";
    SYS_socketpair if When::All(&[UNIX, STREAM, DEFAULT_PROTOCOL]), "what the executor would hear of signals by; it is \
        connected to itself and to nothing else";
    SYS_recvfrom, "receiving";
    SYS_getsockname, "a socket's own address";
    SYS_getpeername, "the address at its other end";
    SYS_getsockopt if When::All(&option(libc::SOL_SOCKET, libc::SO_ERROR)), "how connecting went";
    SYS_getsockopt if When::All(&option(libc::SOL_SOCKET, libc::SO_RCVBUF)), "an option that WASI knows";
    SYS_setsockopt if When::All(&option(libc::SOL_SOCKET, libc::SO_RCVBUF)), "the same";
    SYS_getsockopt if When::All(&option(libc::SOL_SOCKET, libc::SO_SNDBUF)), "the same";
    SYS_setsockopt if When::All(&option(libc::SOL_SOCKET, libc::SO_SNDBUF)), "the same";
    SYS_getsockopt if When::All(&option(libc::IPPROTO_IP, libc::IP_TTL)), "the same";
    SYS_setsockopt if When::All(&option(libc::IPPROTO_IP, libc::IP_TTL)), "the same";
    SYS_getsockopt if When::All(&option(libc::IPPROTO_IPV6, libc::IPV6_UNICAST_HOPS)), "the same";
    SYS_setsockopt if When::All(&option(libc::IPPROTO_IPV6, libc::IPV6_UNICAST_HOPS)), "the same";
    SYS_setsockopt if When::All(&option(libc::IPPROTO_IPV6, libc::IPV6_V6ONLY)), "keeping the two families apart";
};

/// What TCP needs besides. Not TCP_ULP, which makes another kind of socket of it.
pub(super) const TCP: &[Rule] = rules! {
    SYS_socket if When::All(&[INET, STREAM, TCP_PROTOCOL]), "a TCP socket";
    SYS_socket if When::All(&[INET6, STREAM, TCP_PROTOCOL]), "the same";
    SYS_sendto if When::All(&[SENT, (ADDRESS, 0)]), "sending on a connection";
    SYS_shutdown, "the end of a direction";
    SYS_getsockopt if When::All(&option(libc::SOL_SOCKET, libc::SO_KEEPALIVE)), "an option that WASI knows";
    SYS_setsockopt if When::All(&option(libc::SOL_SOCKET, libc::SO_KEEPALIVE)), "the same";
    SYS_getsockopt if When::All(&option(libc::IPPROTO_TCP, libc::TCP_KEEPIDLE)), "the same";
    SYS_setsockopt if When::All(&option(libc::IPPROTO_TCP, libc::TCP_KEEPIDLE)), "the same";
    SYS_getsockopt if When::All(&option(libc::IPPROTO_TCP, libc::TCP_KEEPINTVL)), "the same";
    SYS_setsockopt if When::All(&option(libc::IPPROTO_TCP, libc::TCP_KEEPINTVL)), "the same";
    SYS_getsockopt if When::All(&option(libc::IPPROTO_TCP, libc::TCP_KEEPCNT)), "the same";
    SYS_setsockopt if When::All(&option(libc::IPPROTO_TCP, libc::TCP_KEEPCNT)), "the same";
};

/// What reaching others needs besides.
pub(super) const CONNECT: &[Rule] = rules! {
    SYS_connect, "connecting; where datagrams go and come from";
};

/// What having an address of one's own needs besides.
pub(super) const BIND: &[Rule] = rules! {
    SYS_bind, "listening; WASI's way to receive datagrams";
};

/// What being reached needs besides. Without it no socket can listen on a port that the system chooses, for which
/// Landlock is not asked.
pub(super) const LISTEN: &[Rule] = rules! {
    SYS_listen, "listening";
    SYS_accept4, "accepting connections";
    SYS_setsockopt if When::All(&option(libc::SOL_SOCKET, libc::SO_REUSEADDR)), "listening again on the same port";
};

/// What UDP needs besides.
pub(super) const UDP: &[Rule] = rules! {
    SYS_socket if When::All(&[INET, DATAGRAM, DEFAULT_PROTOCOL]), "a UDP socket";
    SYS_socket if When::All(&[INET6, DATAGRAM, DEFAULT_PROTOCOL]), "the same";
    SYS_sendto if When::All(&[SENT]), "sending datagrams";
};
