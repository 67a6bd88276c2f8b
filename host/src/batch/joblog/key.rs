//! What names a task by its content, so that another run knows it again. Pure.
//!
//! The key covers what the guest is and what reaches it: module, entry, arguments, command line, standard input,
//! environment, directories and shared objects. Limits are not part of it: they end a task, they do not change what it
//! returns; so who raises a limit runs only what failed again.

#![forbid(unsafe_code)]

use std::fmt;
use std::os::unix::ffi::OsStrExt;

use sha2::{Digest, Sha256};

use crate::TaskDescription;
use crate::outcome::Encoding;
use crate::policy::{DirAccess, NetAccess};

/// A task's name by its content.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Key([u8; 16]);

impl Key {
    /// The key of a task that reads this as its standard input (`empty`, or a digest).
    #[must_use]
    pub fn of(task: &TaskDescription, stdin: &str) -> Self {
        let mut fields = Fields(Sha256::new());
        fields.text("wasmpool job log 1");
        fields.text(&task.module_digest);
        fields.text(task.entry);
        fields.text(&task.function);
        fields.text(if task.args.0 == Encoding::Json { "json" } else { "raw" });
        fields.bytes(&task.args.1);
        fields.all(&task.argv);
        fields.all(&env_fields(task));
        for granted in [&task.dirs, &task.files] {
            fields.count(granted.len());
            for (host, guest, access) in granted {
                fields.bytes(host.as_os_str().as_bytes());
                fields.text(guest);
                fields.text(access_label(*access));
            }
        }
        fields.count(task.nets.len());
        for (access, host, port) in &task.nets {
            fields.text(net_label(*access));
            fields.text(host);
            fields.count(usize::from(*port));
        }
        fields.count(task.objects.len());
        for (name, kind) in &task.objects {
            fields.text(name);
            fields.text(kind);
        }
        fields.text(stdin);
        if let Some(seed) = task.deterministic {
            fields.text(&format!("deterministic {seed}"));
        }
        Self(fields.digest())
    }

    /// The key that is written like this.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.as_bytes();
        let digit = |at: usize| char::from(*text.get(at)?).to_digit(16);
        let mut bytes = [0; 16];
        for (at, byte) in bytes.iter_mut().enumerate() {
            *byte = u8::try_from(digit(2 * at)? << 4 | digit(2 * at + 1)?).ok()?;
        }
        (text.len() == 32).then_some(Self(bytes))
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({self})")
    }
}

/// The name of a directory's mode.
pub(super) fn access_label(access: DirAccess) -> &'static str {
    match access {
        DirAccess::ReadOnly => "ro",
        DirAccess::ReadWrite => "rw",
    }
}

/// The name of what may be done with an address.
pub(super) fn net_label(access: NetAccess) -> &'static str {
    match access {
        NetAccess::TcpConnect => "tcp-connect",
        NetAccess::TcpListen => "tcp-listen",
        NetAccess::Udp => "udp",
    }
}

fn env_fields(task: &TaskDescription) -> Vec<String> {
    task.env.iter().flat_map(|(name, value)| [name.clone(), value.clone()]).collect()
}

/// A digest that tells the environment without telling its values, which may be secrets.
pub(super) fn env_digest(task: &TaskDescription) -> String {
    let mut fields = Fields(Sha256::new());
    fields.all(&env_fields(task));
    hex(&fields.0.finalize())
}

/// A SHA-256 in hexadecimal.
#[must_use]
pub fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// A SHA-256 in hexadecimal of everything that can be read.
///
/// # Errors
///
/// When it cannot be read.
pub fn sha256_of(mut reader: impl std::io::Read) -> std::io::Result<String> {
    let mut digest = Sha256::new();
    std::io::copy(&mut reader, &mut digest)?;
    Ok(hex(&digest.finalize()))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Fields with their lengths, so that no two lists of them are the same bytes.
struct Fields(Sha256);

impl Fields {
    fn count(&mut self, count: usize) {
        self.0.update((count as u64).to_le_bytes());
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.count(bytes.len());
        self.0.update(bytes);
    }

    fn text(&mut self, text: &str) {
        self.bytes(text.as_bytes());
    }

    fn all(&mut self, texts: &[String]) {
        self.count(texts.len());
        texts.iter().for_each(|text| self.text(text));
    }

    fn digest(self) -> [u8; 16] {
        let digest = self.0.finalize();
        let mut first = [0; 16];
        first.copy_from_slice(&digest[..16]);
        first
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::limits::Limits;
    use crate::policy::SandboxMode;

    pub(in crate::batch::joblog) fn task() -> TaskDescription {
        TaskDescription {
            module: "squares".to_owned(),
            module_digest: "ab".repeat(32),
            entry: "task",
            function: "square".to_owned(),
            args: (Encoding::Json, "[1]".into()),
            argv: vec!["squares".to_owned()],
            env: vec![("TOKEN".to_owned(), "secret".to_owned())],
            dirs: vec![("/data".into(), "/in".to_owned(), DirAccess::ReadOnly)],
            files: vec![("/etc/hosts".into(), "/hosts".to_owned(), DirAccess::ReadWrite)],
            nets: vec![(NetAccess::TcpConnect, "example.org".to_owned(), 443)],
            objects: vec![("jobs".to_owned(), "Queue".to_owned())],
            limits: Limits::default(),
            deterministic: None,
            sandbox: SandboxMode::Required,
        }
    }

    #[test]
    fn everything_that_reaches_the_guest_makes_another_key() {
        let change = |change: fn(&mut TaskDescription)| {
            let mut task = task();
            change(&mut task);
            Key::of(&task, "empty")
        };
        let keys = [
            Key::of(&task(), "empty"),
            Key::of(&task(), "sha256:1"),
            change(|task| task.module_digest = "cd".repeat(32)),
            change(|task| task.entry = "export"),
            change(|task| task.function.push('x')),
            change(|task| task.args.1 = "[2]".into()),
            change(|task| task.args.0 = Encoding::Raw),
            change(|task| task.argv.push(String::new())),
            change(|task| task.env[0].1.push('x')),
            change(|task| task.dirs[0].0 = "/other".into()),
            change(|task| task.dirs[0].1.push('x')),
            change(|task| task.dirs[0].2 = DirAccess::ReadWrite),
            change(|task| task.files[0].1.push('x')),
            change(|task| task.files.clear()),
            change(|task| task.nets[0].0 = NetAccess::Udp),
            change(|task| task.nets[0].1.push('x')),
            change(|task| task.nets[0].2 = 80),
            change(|task| task.objects[0].0.push('x')),
            change(|task| task.objects.clear()),
            change(|task| task.deterministic = Some(0)),
            change(|task| task.deterministic = Some(1)),
        ];
        let different: std::collections::HashSet<Key> = keys.into_iter().collect();
        assert_eq!(different.len(), keys.len());
    }

    #[test]
    fn limits_and_names_make_no_other_key() {
        let mut raised = task();
        raised.limits.memory_bytes *= 2;
        raised.limits.timeout = Some(std::time::Duration::from_secs(1));
        raised.module = "renamed".to_owned();
        raised.sandbox = SandboxMode::BestEffort;
        assert_eq!(Key::of(&raised, "empty"), Key::of(&task(), "empty"));
    }

    #[test]
    fn a_key_is_read_as_it_is_written() {
        let key = Key::of(&task(), "empty");
        assert_eq!(Key::parse(&key.to_string()), Some(key));
        for wrong in ["", "00", &"0".repeat(33), &"g".repeat(32), &"ä".repeat(16)] {
            assert_eq!(Key::parse(wrong), None, "{wrong}");
        }
    }
}
