//! What a task's worker may touch, and which walls of the operating system must stand around it.
//!
//! Tasks whose policies differ never share a fork server: a Landlock rule set cannot be widened later.

#![forbid(unsafe_code)]

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// How much of the sandbox must be there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum SandboxMode {
    /// Every layer that this machine can give must stand, or nothing runs. In any case these must: environment,
    /// descriptors, parent-death, resource-limits, no-new-privileges, seccomp, and landlock or empty-root.
    #[default]
    Required,
    /// Layers that cannot be had are left out, and the record of each attempt says which stood.
    BestEffort,
    /// No layer at all. Not a sandbox.
    Off,
}

/// The policy of a task. `Policy::default()` grants nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Policy {
    /// How much of the sandbox must be there.
    pub sandbox: SandboxMode,
}

/// What a task may do with a directory or a file that it was granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum DirAccess {
    /// Read files and list directories; of a file, read it.
    ReadOnly,
    /// Besides, make, change, rename and remove them; of a file, change it.
    ReadWrite,
}

/// One granted directory or file, as fork servers are told apart by it and as their walls are built from it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct DirRule {
    /// The path on the host, absolute and without links.
    pub(crate) host: PathBuf,
    /// The path that the guest sees; of a file, the directory that holds it.
    pub(crate) guest: String,
    /// The file's name in that directory, which holds granted files and nothing else; `None` for a directory.
    pub(crate) file: Option<String>,
    pub(crate) access: DirAccess,
    /// Which directory or file that was when it was granted: device and inode.
    pub(crate) identity: (u64, u64),
}

impl DirRule {
    /// Where the directory of a file begins among these rules: at the first file of the same directory.
    pub(crate) fn begins_at(rules: &[Self], index: usize) -> usize {
        let is_beside = |rule: &Self| rule.file.is_some() && rule.guest == rules[index].guest;
        match rules[index].file {
            Some(_) => rules.iter().position(is_beside).unwrap_or(index),
            None => index,
        }
    }
}

/// What a task may do with an address of the network that it was granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum NetAccess {
    /// Connect to it by TCP.
    TcpConnect,
    /// Listen on it, an address of this machine, and accept TCP connections from anybody.
    TcpListen,
    /// Send datagrams to it by UDP, and receive those that come from it.
    Udp,
}

/// One granted address, as fork servers are told apart by it and as their walls are built from it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct NetRule {
    pub(crate) access: NetAccess,
    /// The name that the guest may ask for, in lower case; none where an address was granted.
    pub(crate) name: Option<String>,
    /// In order, each once; none stands for every address.
    pub(crate) addresses: Option<Vec<IpAddr>>,
    /// 0 stands for a port that the system chooses, where it is listened on.
    pub(crate) port: u16,
}

impl NetRule {
    /// Whether it means this address too.
    pub(crate) fn includes(&self, address: IpAddr) -> bool {
        self.addresses.as_ref().is_none_or(|addresses| addresses.contains(&address))
    }
}

/// Some of the layers.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Layers(u32);

const _: () = assert!(Layer::ALL.len() <= u32::BITS as usize, "each layer has its bit");

impl Layers {
    fn bit(layer: Layer) -> u32 {
        1 << layer as u32
    }

    /// Those that are among them, in the order in which they are entered.
    pub fn iter(self) -> impl Iterator<Item = Layer> {
        Layer::ALL.iter().copied().filter(move |layer| self.contains(*layer))
    }

    /// Whether this one is among them.
    #[must_use]
    pub fn contains(self, layer: Layer) -> bool {
        self.0 & Self::bit(layer) != 0
    }

    /// How many there are.
    #[must_use]
    pub fn len(self) -> usize {
        self.0.count_ones() as usize
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }
}

impl FromIterator<Layer> for Layers {
    fn from_iter<I: IntoIterator<Item = Layer>>(layers: I) -> Self {
        Self(layers.into_iter().fold(0, |layers, layer| layers | Self::bit(layer)))
    }
}

impl fmt::Debug for Layers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

macro_rules! layers {
    ($($(#[doc = $doc:literal])* $name:ident = $label:literal, $protects:literal;)*) => {
        /// One layer of the operating system's wall around a worker.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        pub enum Layer { $($(#[doc = $doc])* $name,)* }

        impl Layer {
            /// Every layer, in the order in which they are entered.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// Its name in records and in `wasmpool doctor`.
            #[must_use]
            pub fn label(self) -> &'static str {
                match self { $(Self::$name => $label,)* }
            }

            /// What it protects against.
            #[must_use]
            pub fn protects_against(self) -> &'static str {
                match self { $(Self::$name => $protects,)* }
            }
        }
    };
}

layers! {
    /// Environment cleared.
    Environment = "environment", "secrets in the host's environment variables";
    /// Every descriptor but the documented ones closed.
    Descriptors = "descriptors", "use of files and sockets that the host has open";
    /// A session of its own.
    Session = "session", "input and signals through the host's terminal";
    /// The parent-death signal.
    ParentDeath = "parent-death", "workers that outlive their host";
    /// A user id without rights of its own, where the host runs as root and no directory is granted.
    Identity = "identity", "what root may do without asking, its files and devices";
    /// User, mount, IPC and host-name namespaces; a host that runs as root needs no user namespace.
    Namespaces = "namespaces", "mounts, shared memory and names of the host";
    /// A network namespace, in which there is nothing; where no address of the network is granted.
    Network = "network", "network interfaces and abstract sockets of the host";
    /// An empty, read-only root with the granted directories in it.
    EmptyRoot = "empty-root", "every path of the host that was not granted";
    /// No capability.
    Capabilities = "capabilities", "privileged operations";
    /// Not dumpable.
    NotDumpable = "not-dumpable", "core dumps and debuggers of other processes of the same user";
    /// Resource limits.
    ResourceLimits = "resource-limits", "core files, file growth, locked memory, descriptor floods";
    /// `no_new_privs`.
    NoNewPrivileges = "no-new-privileges", "privileges gained by running set-uid programs";
    /// Landlock rule set.
    Landlock = "landlock", "opening files, TCP ports, abstract sockets and signals outside the grants";
    /// seccomp filter.
    Seccomp = "seccomp", "new processes and programs, sockets, debugging, mounting and other system calls";
    /// A control group around all processes of a pool.
    Cgroup = "cgroup", "memory and process floods of a whole pool";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layers_come_in_the_order_in_which_they_are_entered() {
        let layers: Layers = [Layer::Cgroup, Layer::Seccomp, Layer::Environment].into_iter().collect();
        let order = [Layer::Environment, Layer::Seccomp, Layer::Cgroup];
        assert_eq!(layers.iter().collect::<Vec<_>>(), order);
        assert_eq!((layers.len(), layers.is_empty(), Layers::default().is_empty()), (3, false, true));
        assert!(layers.contains(Layer::Cgroup) && !layers.contains(Layer::Landlock));
        assert_eq!(format!("{layers:?}"), "{Environment, Seccomp, Cgroup}");
        assert_eq!(Layer::ALL.iter().copied().collect::<Layers>().len(), Layer::ALL.len());
    }
}
