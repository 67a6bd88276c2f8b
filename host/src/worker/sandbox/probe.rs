//! What this machine can give: every layer, tried in a throw-away process.

#![forbid(unsafe_code)]

use std::io;

use crate::os::fork::ForkKey;
use crate::os::socket::PacketSocket;
use crate::policy::Layer;
use crate::protocol::fork_server::Probed;
use crate::worker::control::Control;

/// Enters each layer and tells which ones could be entered.
pub(crate) fn run(socket: PacketSocket) -> io::Result<()> {
    let control = Control::new(socket);
    let key = ForkKey::new()?;
    let profile = super::Profile::ForkServer(&key);
    let own = Layer::ALL.iter().filter(|layer| layer.is_of_one_process());
    let layers = own.map(|layer| (*layer, super::enter_layer(*layer, &profile).err())).collect();
    control.send(&Probed { layers }, &[])
}
