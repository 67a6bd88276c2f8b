//! What a module's imports are for, and the option that grants it. Pure: read off the imports' names and the parameters
//! of tasks.
//!
//! It is what a module can ask for, not what it does: a language's standard library imports more than a program uses.
//! Without a grant a module runs all the same, and finds no file, no variable, no input.

#![forbid(unsafe_code)]

use super::ModuleInfo;

macro_rules! wants {
    ($($(#[doc = $doc:literal])* $name:ident = $label:literal, $option:expr, $meaning:literal;)*) => {
        /// Something that a module may want from its host.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[non_exhaustive]
        pub enum Want { $($(#[doc = $doc])* $name,)* }

        impl Want {
            /// Every one.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// Its name.
            #[must_use]
            pub fn label(self) -> &'static str {
                match self { $(Self::$name => $label,)* }
            }

            /// The options that grant it; `None` for what is always there.
            #[must_use]
            pub fn option(self) -> Option<&'static str> {
                match self { $(Self::$name => $option,)* }
            }

            /// What there is without them.
            #[must_use]
            pub fn without(self) -> &'static str {
                match self { $(Self::$name => $meaning,)* }
            }
        }
    };
}

wants! {
    /// Files and directories.
    Files = "files", Some("--dir HOST or --file HOST"), "without it, there are none";
    /// Environment variables.
    Environment = "environment", Some("--env NAME"), "without it, there are no variables";
    /// Connections and names of the network.
    Network = "network", Some("--net HOST:PORT"), "without it, there is none";
    /// Standard input.
    Stdin = "stdin", Some("--stdin FILE"), "without it, a command of `run` reads ours, and everything else nothing";
    /// Queues, locks and the like.
    Objects = "objects", Some("--queue, --lock and the like"), "without it, what is opened by name is refused";
    /// Clocks, and sleeping.
    Clocks = "clocks", None, "always there";
    /// Random numbers.
    Random = "random", None, "always there";
    /// Tasks that a task submits.
    Tasks = "tasks", None, "tasks of the same module, always there";
}

/// Parameters of tasks whose arguments are names of shared objects.
const OBJECT_TYPES: &[&str] = &[
    "Queue",
    "Lock",
    "RLock",
    "Semaphore",
    "BoundedSemaphore",
    "Event",
    "Condition",
    "Barrier",
    "Value",
    "Array",
    "Connection",
    "Dict",
];

impl Want {
    /// What an import is for; `None` for what nobody needs to know of, and for what the host does not have.
    #[must_use]
    pub fn of_import(name: &str) -> Option<Self> {
        let name = name.split('@').next().unwrap_or(name);
        if let Some(interface) = name.strip_prefix("wasi:") {
            return match interface {
                "cli/environment" => Some(Self::Environment),
                "cli/stdin" => Some(Self::Stdin),
                _ => match interface.split('/').next()? {
                    "filesystem" => Some(Self::Files),
                    "sockets" => Some(Self::Network),
                    "clocks" => Some(Self::Clocks),
                    "random" => Some(Self::Random),
                    _ => None,
                },
            };
        }
        match name {
            "wasmpool:task/flat" | "wasmpool:task/objects" => return Some(Self::Objects),
            "wasmpool:task/pool" => return Some(Self::Tasks),
            _ => {}
        }
        match name.split_once('.')? {
            ("wasi_snapshot_preview1" | "wasi_unstable", function) => Self::of_preview_1(function),
            ("wasmpool", function) if function.starts_with("pool_") => Some(Self::Tasks),
            ("wasmpool", _) => Some(Self::Objects),
            _ => None,
        }
    }

    fn of_preview_1(function: &str) -> Option<Self> {
        match function {
            "environ_get" | "environ_sizes_get" => Some(Self::Environment),
            "poll_oneoff" | "clock_time_get" | "clock_res_get" => Some(Self::Clocks),
            "random_get" => Some(Self::Random),
            "fd_read" => Some(Self::Stdin),
            "fd_readdir" | "fd_prestat_get" | "fd_prestat_dir_name" => Some(Self::Files),
            _ if function.starts_with("path_") => Some(Self::Files),
            _ if function.starts_with("sock_") => Some(Self::Network),
            _ => None,
        }
    }
}

impl ModuleInfo {
    /// What it may want, each with what says so: imports, and tasks that take shared objects.
    #[must_use]
    pub fn wants(&self) -> Vec<(Want, Vec<String>)> {
        let because = |want: &Want| {
            let imports = self.imports.iter().filter(|import| Want::of_import(&import.name) == Some(*want));
            // What a person wrote says more than what a compiler made of it.
            let written = if *want == Want::Objects { self.object_parameters() } else { Vec::new() };
            written.into_iter().chain(imports.map(|import| import.name.clone())).collect::<Vec<_>>()
        };
        let wants = Want::ALL.iter().map(|want| (*want, because(want)));
        wants.filter(|(_, because)| !because.is_empty()).collect()
    }

    /// Whether it imports something of this kind.
    pub(crate) fn may_want(&self, want: Want) -> bool {
        self.imports.iter().any(|import| Want::of_import(&import.name) == Some(want))
    }

    /// `consume(jobs: Queue<u64>)`, for each parameter that is a shared object.
    fn object_parameters(&self) -> Vec<String> {
        let is_object = |ty: &str| {
            let name = ty.trim_start_matches('&').split('<').next().unwrap_or(ty).trim();
            OBJECT_TYPES.contains(&name.rsplit("::").next().unwrap_or(name))
        };
        let parameters =
            self.tasks.iter().flat_map(|task| task.params.iter().map(move |param| (task, param)));
        parameters
            .filter(|(_, param)| is_object(&param.ty))
            .map(|(task, param)| format!("{}({}: {})", task.name, param.name, param.ty))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn imports_of_components_and_of_core_modules_say_what_they_are_for() {
        for (import, want) in [
            ("wasi:filesystem/preopens@0.2.6", Some(Want::Files)),
            ("wasi:filesystem/types@0.2.0", Some(Want::Files)),
            ("wasi:cli/environment@0.2.6", Some(Want::Environment)),
            ("wasi:cli/stdin@0.2.6", Some(Want::Stdin)),
            ("wasi:cli/stdout@0.2.6", None),
            ("wasi:sockets/tcp@0.2.6", Some(Want::Network)),
            ("wasi:clocks/monotonic-clock@0.2.6", Some(Want::Clocks)),
            ("wasi:random/random", Some(Want::Random)),
            ("wasmpool:task/flat@0.1.0", Some(Want::Objects)),
            ("wasmpool:task/pool@0.1.0", Some(Want::Tasks)),
            ("wasmpool:task/log@0.1.0", None),
            ("wasi_snapshot_preview1.path_open", Some(Want::Files)),
            ("wasi_snapshot_preview1.fd_prestat_get", Some(Want::Files)),
            ("wasi_unstable.environ_get", Some(Want::Environment)),
            ("wasi_snapshot_preview1.fd_read", Some(Want::Stdin)),
            ("wasi_snapshot_preview1.fd_write", None),
            ("wasi_snapshot_preview1.sock_accept", Some(Want::Network)),
            ("wasi_snapshot_preview1.poll_oneoff", Some(Want::Clocks)),
            ("wasi_snapshot_preview1.random_get", Some(Want::Random)),
            ("wasmpool.open", Some(Want::Objects)),
            ("wasmpool.pool_submit", Some(Want::Tasks)),
            ("env.path_open", None),
            ("acme:thing/x", None),
        ] {
            assert_eq!(Want::of_import(import), want, "{import}");
        }
    }
}
