//! A task as values: what a log says of it, and what tells it from others.

#![forbid(unsafe_code)]

use std::path::PathBuf;

use bytes::Bytes;

use super::Task;
use crate::limits::Limits;
use crate::outcome::Encoding;
use crate::policy::{DirAccess, NetAccess, SandboxMode};
use crate::protocol::worker::Entry;

/// What a task is: the module, what of it is called with what, and what it may use and touch.
#[derive(Clone, Debug, PartialEq)]
pub struct TaskDescription {
    /// The module's name.
    pub module: String,
    /// The SHA-256 of its bytes, in hexadecimal.
    pub module_digest: String,
    /// What is called: `command`, `task`, `export` or `invoke`.
    pub entry: &'static str,
    /// The name of the task or export, or the expression.
    pub function: String,
    /// The bytes that the guest gets as its arguments, and whether they are JSON.
    pub args: (Encoding, Bytes),
    /// Command-line arguments, the program's own name first.
    pub argv: Vec<String>,
    /// Environment variables.
    pub env: Vec<(String, String)>,
    /// Directories: the path here, the path for the guest, and what it may do there.
    pub dirs: Vec<(PathBuf, String, DirAccess)>,
    /// Files: the same.
    pub files: Vec<(PathBuf, String, DirAccess)>,
    /// Addresses of the network: what it may do, a host (a name, an address, or `*`), and a port.
    pub nets: Vec<(NetAccess, String, u16)>,
    /// Queues, locks and the like: the name, and what kind with what bounds.
    pub objects: Vec<(String, String)>,
    /// Its limits.
    pub limits: Limits,
    /// What its random numbers are made from, with clocks that are fixed.
    pub deterministic: Option<u64>,
    /// How much of the sandbox must stand.
    pub sandbox: SandboxMode,
}

impl Task {
    /// What it is.
    ///
    /// # Errors
    ///
    /// Why it would not be run: its arguments, directories, environment or shared objects do not fit.
    pub fn describe(&self) -> Result<TaskDescription, String> {
        let args = self.clone().take_bytes()?;
        let (entry, function) = match self.common.target.entry() {
            Entry::Command => ("command", ""),
            Entry::Task { export, .. } => ("task", export.as_str()),
            Entry::Export { name } => ("export", name.as_str()),
            Entry::Invoke { expression } => ("invoke", expression.as_str()),
        };
        let (mut dirs, mut files) = (Vec::new(), Vec::new());
        for rule in self.common.dirs.iter().map(|dir| dir.rule()) {
            match &rule.file {
                None => dirs.push((rule.host.clone(), rule.guest.clone(), rule.access)),
                Some(file) => {
                    let guest = format!("{}/{file}", rule.guest.trim_end_matches('/'));
                    files.push((rule.host.clone(), guest, rule.access));
                }
            }
        }
        let nets = self.common.nets.iter().map(|net| {
            let rule = net.rule();
            let address = rule.addresses.as_ref().and_then(|addresses| addresses.first());
            let host = rule.name.clone().or_else(|| address.map(ToString::to_string));
            (rule.access, host.unwrap_or_else(|| "*".to_owned()), rule.port)
        });
        let objects = self.grants().map_err(|error| error.to_string())?;
        let objects =
            objects.iter().map(|grant| (grant.name().to_owned(), format!("{:?}", grant.object.spec())));
        Ok(TaskDescription {
            module: self.common.target.module().name().to_owned(),
            module_digest: self.common.target.module().digest(),
            entry,
            function: function.to_owned(),
            args: (self.common.target.args_encoding().unwrap_or(Encoding::Json), args),
            argv: self.common.argv.clone(),
            env: self.common.env.clone(),
            dirs,
            files,
            nets: nets.collect(),
            objects: objects.collect(),
            limits: self.common.limits.clone(),
            deterministic: self.common.deterministic,
            sandbox: self.common.policy.sandbox,
        })
    }
}
