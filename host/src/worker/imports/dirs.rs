//! Granted directories, as a guest gets them: opened anew for each instance.

#![forbid(unsafe_code)]

use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;

use wasmtime::error::Context as _;
use wasmtime_wasi::{FsPerms, WasiCtxBuilder};

use crate::policy::{DirAccess, DirRule};
use crate::worker::sandbox::Reach;

/// A directory that guests may use.
#[derive(Debug)]
pub(crate) struct GrantedDir {
    place: Place,
    guest: String,
    access: DirAccess,
}

#[derive(Debug)]
enum Place {
    Path(PathBuf),
    Descriptor(OwnedFd),
}

impl GrantedDir {
    /// One that the sandbox left within reach. Where a path leads to it, the host's descriptor is closed: the
    /// host's own mounts could be walked from it.
    fn new(rule: DirRule, reach: Reach, descriptor: OwnedFd) -> Self {
        let place = match reach {
            Reach::Path(path) => Place::Path(path),
            Reach::Descriptor => Place::Descriptor(descriptor),
        };
        Self { place, guest: rule.guest, access: rule.access }
    }

    /// Everything that was granted. Files of one directory are that directory, in which the kernel knows which of them may
    /// be written.
    pub(crate) fn all(rules: Vec<DirRule>, reach: Vec<Reach>, descriptors: Vec<OwnedFd>) -> Arc<[Self]> {
        let is_first = |index: usize| DirRule::begins_at(&rules, index) == index;
        let access = |index: usize| {
            let beside = (0..rules.len()).filter(|other| DirRule::begins_at(&rules, *other) == index);
            beside.map(|other| rules[other].access).max().unwrap_or(DirAccess::ReadOnly)
        };
        let kept: Vec<_> = (0..rules.len()).map(|index| is_first(index).then(|| access(index))).collect();
        let granted = rules.into_iter().zip(reach).zip(descriptors).zip(kept);
        let granted = granted.filter_map(|(((rule, reach), descriptor), access)| {
            Some(Self::new(DirRule { access: access?, ..rule }, reach, descriptor))
        });
        granted.collect()
    }

    #[cfg(test)]
    pub(super) fn at(path: impl Into<PathBuf>, guest: &str, access: DirAccess) -> Self {
        Self { place: Place::Path(path.into()), guest: guest.to_owned(), access }
    }

    /// Gives it to a guest.
    pub(super) fn open(&self, builder: &mut WasiCtxBuilder) -> wasmtime::Result<()> {
        let perms = match self.access {
            DirAccess::ReadOnly => FsPerms::ReadOnly,
            DirAccess::ReadWrite => FsPerms::ReadWrite,
        };
        let opened = match &self.place {
            Place::Path(path) => builder.preopened_dir(path, &self.guest, perms),
            // wasmtime-wasi takes paths only, and without a root of our own there is none that leads there.
            Place::Descriptor(directory) => {
                rustix::process::fchdir(directory)?;
                builder.preopened_dir(".", &self.guest, perms)
            }
        };
        opened.map(drop).with_context(|| format!("open the granted directory `{}`", self.guest))
    }
}
