//! A task: one guest call with everything that goes with it.

#![forbid(unsafe_code)]

mod description;

use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;

use crate::directory::{self, GrantedDir, GrantedFile};
use crate::environment::{self, EnvironmentError};
use crate::limits::{Limits, NAME_BYTES_MAX};
use crate::net::{self, GrantedNet};
use crate::outcome::{NotRun, Outcome};
use crate::policy::Policy;
use crate::protocol::worker::{Entry, Initializer};
use crate::retry::RetryPolicy;
use crate::supervisor::call::{Call, CallShape, Input, Reply};
use crate::supervisor::module::{Module, Target};
use crate::supervisor::observer::Observer;
use crate::supervisor::output::Output;
use crate::supervisor::pool::StartMethod;
use crate::sync::{self, Grant, GrantError};
use crate::task::{Args, Stdin};

pub use description::TaskDescription;

/// Why a task cannot be given what it was given.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(transparent)]
pub struct TaskError(#[from] Misfit);

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(transparent)]
enum Misfit {
    Dirs(#[from] directory::GrantError),
    Nets(#[from] net::GrantError),
    Environment(#[from] EnvironmentError),
    Objects(#[from] GrantError),
}

/// One guest call: a target, its arguments and its limits. `Task::new` lists every default.
///
/// Copies share all but arguments, name and tag, so one for each of many inputs costs next to nothing.
#[derive(Clone, Debug)]
pub struct Task {
    args: Args,
    name: Arc<str>,
    tag: Option<u64>,
    common: Arc<Common>,
}

/// What many tasks have in common.
#[derive(Clone, Debug)]
struct Common {
    target: Target,
    limits: Limits,
    policy: Policy,
    dirs: Vec<GrantedDir>,
    nets: Vec<GrantedNet>,
    argv: Vec<String>,
    env: Vec<(String, String)>,
    stdin: Stdin,
    output: Output,
    grants: Vec<Grant>,
    priority: i32,
    retry: RetryPolicy,
    deterministic: Option<u64>,
}

impl Task {
    /// A call without arguments, named as its target, with default limits and nothing granted.
    #[must_use]
    pub fn new(target: &Target) -> Self {
        let common = Common {
            target: target.clone(),
            limits: Limits::default(),
            policy: Policy::default(),
            dirs: Vec::new(),
            nets: Vec::new(),
            argv: vec![target.module().name().to_owned()],
            env: Vec::new(),
            stdin: Stdin::Empty,
            output: Output::Capture,
            grants: Vec::new(),
            priority: 0,
            retry: RetryPolicy::default(),
            deterministic: None,
        };
        Self { args: Args::none(), name: target.shared_name(), tag: None, common: Arc::new(common) }
    }

    fn common_mut(&mut self) -> &mut Common {
        Arc::make_mut(&mut self.common)
    }

    /// The arguments. What is granted by those that were set before is not granted any more.
    #[must_use]
    pub fn args(mut self, args: Args) -> Self {
        self.args = args;
        self
    }

    /// Another function, with everything else as it is, the name too.
    #[must_use]
    pub fn target(mut self, target: &Target) -> Self {
        self.common_mut().target = target.clone();
        self
    }

    /// The module that it runs.
    #[must_use]
    pub fn module(&self) -> &Module {
        self.common.target.module()
    }

    /// A name for records and logs; cut to 256 bytes.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        let mut name = name.into();
        let end = name.floor_char_boundary(NAME_BYTES_MAX);
        name.truncate(end);
        self.name = name.into();
        self
    }

    /// What it may use.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.common_mut().limits = limits;
        self
    }

    /// What it may touch.
    #[must_use]
    pub fn policy(mut self, policy: Policy) -> Self {
        self.common_mut().policy = policy;
        self
    }

    /// Lets it use a directory: `task.dir(GrantedDir::open("data", "/data", DirAccess::ReadOnly)?)`. None by
    /// default. At most 32, each at another path of the guest, and none read-only that is, or lies in, one which may be
    /// written; otherwise the task is not run.
    #[must_use]
    pub fn dir(mut self, dir: GrantedDir) -> Self {
        self.common_mut().dirs.push(dir);
        let place = |dir: &GrantedDir| (dir.rule().guest.clone(), dir.rule().file.clone());
        self.common_mut().dirs.sort_by_key(place);
        self
    }

    /// Lets it use a single file: `task.file(GrantedFile::open("app.toml", "/etc/app.toml", DirAccess::ReadOnly)?)`. The
    /// guest sees a directory that holds this file and others that are granted so. Counted and checked with the
    /// directories; besides, it takes the layer `empty-root`.
    #[must_use]
    pub fn file(self, file: GrantedFile) -> Self {
        self.dir(file.into_grant())
    }

    /// Lets it use an address of the network: `task.net(GrantedNet::open(NetAccess::TcpConnect, "example.com", 443)?)`.
    /// None by default. At most 32, whose names have at most 256 addresses together; otherwise the task is not run.
    #[must_use]
    pub fn net(mut self, net: GrantedNet) -> Self {
        if let Err(place) = self.common.nets.binary_search(&net) {
            self.common_mut().nets.insert(place, net);
        }
        self
    }

    /// Command-line arguments of a WASI program, the program's own name first.
    #[must_use]
    pub fn argv(mut self, argv: Vec<String>) -> Self {
        self.common_mut().argv = argv;
        self
    }

    /// Its environment variables, instead of those that were set before. None by default. Of two with one name the
    /// last counts. No name is empty or has a `=`, nothing has a NUL byte, and together they have at most 32 KiB;
    /// otherwise the task is not run.
    #[must_use]
    pub fn env(mut self, env: Vec<(String, String)>) -> Self {
        self.common_mut().env = environment::unique(env);
        self
    }

    /// Standard input. Empty by default.
    #[must_use]
    pub fn stdin(mut self, stdin: Stdin) -> Self {
        self.common_mut().stdin = stdin;
        self
    }

    /// What becomes of standard output and error. Captured by default.
    #[must_use]
    pub fn output(mut self, output: Output) -> Self {
        self.common_mut().output = output;
        self
    }

    /// Lets it use a queue, a lock or the like, besides those among its arguments: `task.grant(&queue)`. At most
    /// 64 different ones, each under another name; otherwise the task is not run.
    #[must_use]
    pub fn grant(mut self, grant: impl Into<Grant>) -> Self {
        self.common_mut().grants.push(grant.into());
        self
    }

    /// Higher goes first. 0 by default.
    #[must_use]
    pub fn priority(mut self, priority: i32) -> Self {
        self.common_mut().priority = priority;
        self
    }

    /// How often it is tried again when an attempt fails in any way but being cancelled. 0 by default.
    #[must_use]
    pub fn retries(mut self, retries: u32) -> Self {
        self.common_mut().retry.retries = retries;
        self
    }

    /// Whether and when it is tried again: how often, after which endings, after what time. `RetryPolicy::default()`
    /// lists every default.
    #[must_use]
    pub fn retry(mut self, policy: RetryPolicy) -> Self {
        self.common_mut().retry = policy;
        self
    }

    /// A number that its records and events carry, by which a batch knows its input. None by default.
    #[must_use]
    pub fn tag(mut self, tag: u64) -> Self {
        self.tag = Some(tag);
        self
    }

    /// Random numbers made from this seed, and clocks that begin at 2000-01-01 and go on by a millisecond with each look: the
    /// same task gives the same result, if it gets its input from nowhere else. Bound it by `Limits::fuel`, not by
    /// time. Not so by default.
    #[must_use]
    pub fn deterministic(mut self, seed: u64) -> Self {
        self.common_mut().deterministic = Some(seed);
        self
    }

    /// Whether it can be given its directories, addresses, environment and shared objects. A task that cannot is not run, and its
    /// record says the same as this: ask before there are many of them.
    ///
    /// # Errors
    ///
    /// What does not fit together, or exceeds a limit.
    pub fn check(&self) -> Result<(), TaskError> {
        let fits = || -> Result<(), Misfit> {
            self.grants()?;
            directory::check(&self.common.dirs)?;
            net::check(&self.common.nets)?;
            environment::check(&self.common.env)?;
            Ok(())
        };
        Ok(fits()?)
    }

    /// Its name.
    #[must_use]
    pub fn get_name(&self) -> &str {
        &self.name
    }

    pub(super) fn shared_name(&self) -> Arc<str> {
        Arc::clone(&self.name)
    }

    /// As a pool's initializer, which must be an SDK task.
    pub(super) fn as_initializer(&self) -> Option<Initializer> {
        let Entry::Task { export, .. } = self.common.target.entry() else { return None };
        let args = self.clone().take_bytes().ok()?.to_vec();
        Some(Initializer { export: export.clone(), args })
    }

    /// Everything that it may use, by name: what was granted, and what is among its arguments.
    pub(super) fn grants(&self) -> Result<Vec<Grant>, GrantError> {
        sync::merge(self.common.grants.iter().chain(self.args.grants()))
    }

    /// What it may use, for those that run with it as their initializer.
    pub(super) fn into_grants(self) -> Vec<Grant> {
        self.grants().unwrap_or_default()
    }

    /// The bytes the guest gets, which are its arguments; the reason if they do not fit the target or the limit.
    fn take_bytes(&mut self) -> Result<Bytes, String> {
        self.check().map_err(|error| error.to_string())?;
        let Some(encoding) = self.common.target.args_encoding() else { return Ok(Bytes::new()) };
        let input = std::mem::take(&mut self.args).encode(encoding).map_err(|error| error.to_string())?;
        let (length, limit) = (input.len() as u64, self.common.limits.argument_bytes);
        if length > limit {
            return Err(format!("the arguments have {length} bytes, more than the limit of {limit}"));
        }
        Ok(input)
    }

    pub(super) fn may_be_retried(&self) -> bool {
        self.common.retry.retries > 0
    }

    pub(super) fn shape(&self, start_method: StartMethod, initializer: Option<Initializer>) -> CallShape {
        let common = &*self.common;
        CallShape {
            module: Arc::clone(common.target.module().source()),
            artifact: Arc::clone(common.target.module().artifact()),
            kind: common.target.module().info().kind,
            entry: common.target.entry().clone(),
            initializer,
            limits: common.limits.clone(),
            policy: common.policy.clone(),
            dirs: common.dirs.clone(),
            nets: common.nets.clone(),
            start_method,
            nested_start_method: start_method,
            argv: common.argv.clone(),
            env: common.env.clone(),
            stdin: common.stdin.clone(),
            // Grants that do not fit together have refused the call, which then has no use for its shape.
            grants: self.grants().unwrap_or_default(),
            priority: common.priority,
            deterministic: common.deterministic,
        }
    }

    /// The call; `None` when it is refused, and then its caller has the record already.
    pub(super) fn call(
        mut self,
        task: u64,
        queued_at: SystemTime,
        reply: Reply,
        observer: Option<&Arc<Observer>>,
    ) -> Option<Call> {
        let shared = self.args.as_shared().cloned();
        let input = self.take_bytes().and_then(|bytes| {
            match &shared {
                Some(shared) => Ok(Input::shared(shared)),
                None => Input::new(bytes),
            }
            .map_err(|error: std::io::Error| format!("the arguments cannot be stored: {error}"))
        });
        let (input, refused) = match input {
            Ok(input) => (input, None),
            Err(reason) => (Input::Inline(Bytes::new()), Some(reason)),
        };
        let call = Call {
            task,
            tag: self.tag,
            name: self.name,
            attempt: 1,
            queued_at,
            input,
            output: self.common.output.clone(),
            reply: Some(reply),
            retry: self.common.retry,
            deaths: 0,
            was_shaken: false,
            depth: 0,
            room: None,
            observer: observer.cloned(),
        };
        let Some(reason) = refused else { return Some(call) };
        let record = call.record_without_worker(Outcome::NotRun(NotRun::Argument(reason)));
        call.finish_here(record);
        None
    }

    fn has_grants_of(&self, other: &Self) -> bool {
        let has_none = |task: &Self| task.common.grants.is_empty() && task.args.grants().is_empty();
        has_none(self) && has_none(other) || self.grants() == other.grants()
    }

    /// Whether two tasks may share an instance in a chunk: they differ in arguments and name only.
    pub(super) fn may_share_instance(&self, other: &Self) -> bool {
        let (one, two) = (&*self.common, &*other.common);
        !matches!(one.target.entry(), Entry::Command | Entry::Invoke { .. })
            && matches!((&one.stdin, &two.stdin), (Stdin::Empty, Stdin::Empty))
            && (Arc::ptr_eq(&self.common, &other.common) || one.is_like(two))
            && self.has_grants_of(other)
    }
}

impl Common {
    /// Whether tasks with the one and the other run alike, but for their standard input and what is granted to them.
    fn is_like(&self, other: &Self) -> bool {
        Arc::ptr_eq(self.target.module().source(), other.target.module().source())
            && self.target.entry() == other.target.entry()
            && self.limits == other.limits
            && self.policy == other.policy
            && self.dirs == other.dirs
            && self.nets == other.nets
            && self.priority == other.priority
            && self.deterministic == other.deterministic
            && self.argv == other.argv
            && self.env == other.env
    }
}
