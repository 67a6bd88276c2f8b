//! stub
#![forbid(unsafe_code)]
pub(crate) fn run(_socket: crate::os::socket::PacketSocket) -> std::io::Result<()> { Ok(()) }
