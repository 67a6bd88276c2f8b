//! Every number that bounds something, with its default.
//!
//! What a task may use is in [`Limits`] (an option each); what bounds the machinery itself is a
//! constant below, named by what it bounds.

#![forbid(unsafe_code)]

use std::time::Duration;

use serde::{Deserialize, Serialize};

const KIB: u64 = 1024;
const MIB: u64 = 1024 * KIB;
const GIB: u64 = 1024 * MIB;

/// What one task may use. `Limits::default()` lists every default.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Wall-clock time from the worker's acknowledgement. Default: none.
    pub timeout: Option<Duration>,
    /// CPU time of the task's worker from its acknowledgement. Default: none.
    pub cpu_time: Option<Duration>,
    /// Units of wasmtime fuel (about one an instruction). Default: none; setting it runs a second,
    /// slower artifact of the module that counts.
    pub fuel: Option<u64>,
    /// Linear memory of all of the task's memories together, in bytes. Default: 1 GiB.
    pub memory_bytes: u64,
    /// Elements of all of the task's tables together. Default: 1 000 000.
    pub table_elements: u64,
    /// Core instances the task may make. Default: 1000.
    pub instances: u32,
    /// WebAssembly stack in bytes. Default: 512 KiB.
    pub stack_bytes: u32,
    /// Captured standard output and error together, in bytes. Default: 64 MiB.
    pub output_bytes: u64,
    /// Output that is streamed on while the task runs, in bytes. Default: none.
    pub streamed_output_bytes: Option<u64>,
    /// One argument, in bytes. Default: 256 MiB.
    pub argument_bytes: u64,
    /// One result, in bytes. Default: 256 MiB.
    pub result_bytes: u64,
    /// Log records and progress reports in bytes of frames. Default: 16 MiB.
    pub log_bytes: u64,
    /// How long a task that was asked to stop may go on. Default: 2 s.
    pub grace_period: Duration,
    /// Wall-clock time for a module's `#[init]` function, which runs before its first task. Default: 60 s.
    pub init_timeout: Duration,
}

impl Limits {
    /// Whether a call may end by a time that is measured from where it begins.
    pub(crate) fn is_timed(&self) -> bool {
        self.timeout.is_some() || self.cpu_time.is_some()
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            timeout: None,
            cpu_time: None,
            fuel: None,
            memory_bytes: GIB,
            table_elements: 1_000_000,
            instances: 1000,
            stack_bytes: 512 * 1024,
            output_bytes: 64 * MIB,
            streamed_output_bytes: None,
            argument_bytes: 256 * MIB,
            result_bytes: 256 * MIB,
            log_bytes: 16 * MIB,
            grace_period: Duration::from_secs(2),
            init_timeout: Duration::from_secs(60),
        }
    }
}

/// What the compile worker may use for one module: a base and a share for each MiB of module.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CompileLimits {
    /// CPU time. Default: 30 s and 2 s a MiB.
    pub cpu_time: Duration,
    /// Address space in bytes. Default: 1 GiB and 32 MiB a MiB.
    pub memory_bytes: u64,
}

impl CompileLimits {
    /// The defaults for a module of this size.
    #[must_use]
    pub fn for_module(module_bytes: u64) -> Self {
        let mebibytes = module_bytes.div_ceil(MIB);
        Self { cpu_time: Duration::from_secs(30 + 2 * mebibytes), memory_bytes: GIB + 32 * MIB * mebibytes }
    }

    /// Wall-clock time after which the compile worker is killed even if it used no CPU at all: long enough for a
    /// machine that is busy with other things.
    #[must_use]
    pub fn wall_time(&self) -> Duration {
        self.cpu_time.saturating_mul(4).saturating_add(Duration::from_secs(10))
    }
}

/// Bytes of one module file.
pub const MODULE_BYTES_MAX: u64 = 512 * MIB;
/// Bytes of one compiled artifact with its description.
pub const ARTIFACT_BYTES_MAX: u64 = 4 * GIB;
/// Bytes of all artifacts in the cache together, by default.
pub const CACHE_BYTES: u64 = GIB;
/// Bytes of a module's description (tasks, imports, exports) in its artifact file.
pub const MODULE_INFO_BYTES_MAX: u64 = 4 * MIB;
/// Bytes that a description may take in the supervisor's memory, where a short entry has far more of them: 24 for each
/// empty string.
pub const MODULE_INFO_MEMORY_MAX: usize = 8 << 20;
/// Bytes of one frame, header included. Larger payloads travel in memory files.
pub const FRAME_BYTES_MAX: usize = 64 * 1024;
/// Bytes of the ring through which a worker that is used again tells how its calls ended.
pub const LANE_BYTES: u64 = 64 * KIB;
/// Bytes of a frame that goes through it; larger ones go through the socket.
pub const LANE_FRAME_BYTES_MAX: usize = 16 * 1024;
/// Memories of one module that fit into what a worker keeps from one instance to the next. A module that takes more of this,
/// or of what follows, gets new memory for each instance.
pub const KEPT_MEMORIES: u32 = 8;
/// Tables of one module there.
pub const KEPT_TABLES: u32 = 16;
/// Elements of one table there: more than a task may have whose workers keep memory, so that its own limit is what it meets.
pub const KEPT_TABLE_ELEMENTS: usize = 1_000_001;
/// Core instances of one module there.
pub const KEPT_INSTANCES: u32 = 1000;
/// Assignments that a worker that is used again has beside the one that runs.
pub const AHEAD_MAX: usize = 4;
/// Between two looks at what a worker says of the calls of a chunk.
pub const LANE_LOOK_TIME: Duration = Duration::from_micros(100);
/// Calls of one assignment from which on a worker that is not used again has one.
pub const LANE_CALLS_MIN: usize = 8;
/// Records and events on their way to whoever takes them out for which memory is kept when they are gone. There is room for more.
pub const MAILBOX_ROOM_MAX: usize = 4096;
/// Inputs of a chunk, and their bytes, that a guest is given at a time to go through by itself: they take memory of its own.
pub const CHUNK_INPUTS_MAX: usize = 256;
/// See [`CHUNK_INPUTS_MAX`]. A longer one comes alone.
pub const CHUNK_INPUTS_BYTES_MAX: usize = 4096;
/// Bytes of a payload that travels inside its frame.
pub const INLINE_BYTES_MAX: usize = 48 * 1024;
/// Large raw results in all of the program that keep their memory files, so that they can be passed on without a copy:
/// each takes a descriptor while somebody has it. Others are mapped, which takes none.
pub const SHARED_RESULTS_MAX: usize = 64;
/// Descriptors that travel with one frame.
pub const FRAME_DESCRIPTORS_MAX: usize = 80;
/// Bytes of a task's, worker's or process's name.
pub const NAME_BYTES_MAX: usize = 256;
/// Bytes of an error, panic or trap message that a worker sends.
pub const MESSAGE_BYTES_MAX: usize = 8 * 1024;
/// Frames of a WebAssembly backtrace that a worker sends.
pub const BACKTRACE_FRAMES_MAX: usize = 32;
/// Calls of one chunk.
pub const CHUNK_CALLS_MAX: usize = 4096;
/// Tasks that wait in a pool before `submit` waits too.
pub const WAITING_TASKS_MAX: usize = 10_000;
/// Bytes of arguments that a job log holds whole; of longer ones it has a digest.
pub const JOBLOG_ARGUMENT_BYTES_MAX: usize = 64 * 1024;
/// Bytes of a record of a job log; what is left out of longer ones is the value and the captured output.
pub const JOBLOG_RECORD_BYTES_MAX: usize = 1024 * 1024;
/// Between two syncs of a job log.
pub const JOBLOG_SYNC_TIME: Duration = Duration::from_secs(1);
/// Bytes that a JUnit report has of one standard stream of a task: the last ones.
pub const REPORT_OUTPUT_BYTES_MAX: usize = 16 * 1024;
/// Bytes that are kept of each standard stream of a module that is initialised: the first ones.
pub const INIT_OUTPUT_BYTES_MAX: usize = 8 * 1024;
/// Failures of one task that a JUnit report has before it only counts them.
pub const REPORT_RERUNS_MAX: usize = 10;
/// Bytes that a page has of a reason, and of one standard stream of an attempt: the last ones.
pub const REPORT_PAGE_TEXT_BYTES_MAX: usize = 2 * 1024;
/// Attempts that a page shows one by one: of those that are no success, the first ones.
pub const REPORT_ROWS_FAILED_MAX: usize = 2000;
/// The same for those that took longest.
pub const REPORT_ROWS_SLOWEST_MAX: usize = 200;
/// The same for second and further attempts.
pub const REPORT_ROWS_RETRIED_MAX: usize = 500;
/// The same for all, evenly spread.
pub const REPORT_ROWS_SPREAD_MAX: usize = 2000;
/// Columns of the timeline of a page that has not all attempts.
pub const REPORT_COLUMNS: usize = 240;
/// Slots of that timeline.
pub const REPORT_SLOTS_MAX: usize = 256;
/// Bytes of a report that wait in memory until they are written.
pub const REPORT_BUFFER_BYTES: usize = 256 * 1024;
/// Failed, slowest, retried and nearly stopped tasks that the end of a batch lists, of each.
pub const SUMMARY_ITEMS_MAX: usize = 10;
/// Different reasons of failures that are told apart there.
pub const SUMMARY_REASONS_MAX: usize = 1000;
/// Before the second attempt of a task that is to be tried again, by default.
pub const RETRY_BASE_TIME: Duration = Duration::from_millis(100);
/// Between two attempts at most, by default.
pub const RETRY_MAX_TIME: Duration = Duration::from_secs(10);
/// Deaths of workers after which a task is not tried again, by default.
pub const QUARANTINE_DEATHS: u32 = 2;
/// After its start an attempt that is to be killed lives at most this long, or until it gives its result.
pub const CHAOS_DELAY_MAX: Duration = Duration::from_secs(1);
/// Events of attempts that wait for a pool's observer before nothing more is started.
pub const ATTEMPT_EVENTS_MAX: usize = 1024;
/// How long what a worker says is left unread, where nobody waits for it: most have ended by then.
pub const HEARING_TIME: Duration = Duration::from_millis(2);
/// Frames taken from one worker before the other events get their turn.
pub const FRAMES_PER_TURN_MAX: usize = 64;
/// Memory of all processes of one pool together, in percent of what the machine or the own cgroup has, by default.
pub const POOL_MEMORY_PERCENT: u64 = 80;
/// Processes of one pool beside two for each worker: those that wait, fork servers, and those on their way out.
pub const POOL_PROCESSES_BESIDE: u64 = 256;
/// Fork servers alive at one time.
pub const FORK_SERVERS_MAX: usize = 16;
/// Forks that a fork server is asked for at a time.
pub const FORKS_ASKED_MAX: usize = 64;
/// Forks after which a fork server is replaced, so that its children's shared address layout ages.
pub const FORKS_PER_SERVER_MAX: u64 = 100_000;
/// Tasks that wait for a fork server before it is started, or forks that were asked of it, from which on the program's code
/// is put in huge pages for it.
pub const HUGE_CODE_FORKS_MIN: u64 = 256;
/// Addresses that a program may take whose code is put in huge pages.
pub const HUGE_CODE_BYTES_MAX: u64 = 256 * MIB;
/// Failures in a row to get a worker, after which the tasks that need it fail with the cause.
pub const START_FAILURES_MAX: u32 = 5;
/// Compile workers alive at one time.
pub const COMPILE_WORKERS_MAX: usize = 2;
/// How long a supervisor that ends waits for its artifacts to lie in the cache.
pub const CACHE_WRITE_TIME_MAX: Duration = Duration::from_secs(10);
/// How long a fork server may take to load an artifact, and to answer a request to fork.
pub const FORK_SERVER_ANSWER_TIME_MAX: Duration = Duration::from_secs(5);
/// How long a worker may take from its start frame to its acknowledgement.
pub const ACKNOWLEDGEMENT_TIME_MAX: Duration = Duration::from_secs(10);
/// How long a worker may take from its last result to its exit.
pub const EXIT_TIME_MAX: Duration = Duration::from_secs(1);
/// From the interrupt of a task to the SIGKILL.
pub const INTERRUPT_TIME_MAX: Duration = Duration::from_millis(200);
/// Descriptors that one process of ours may have open.
pub const PROCESS_DESCRIPTORS_MAX: u64 = 1024;
/// Descriptors of those that a worker keeps for itself: a guest that has opened all others still has its result.
pub const KEPT_DESCRIPTORS: u64 = 8;
/// Resources (files, streams, pollables) that one guest may hold in the host.
pub const RESOURCES_MAX: usize = 10_000;
/// Bytes that one call for random numbers may ask for.
pub const RANDOM_BYTES_MAX: u64 = 16 * MIB;
/// Subscriptions of one `poll_oneoff`.
pub const POLL_SUBSCRIPTIONS_MAX: u32 = 4096;
/// Bytes that one call of a stream moves.
pub const STREAM_BYTES_MAX: usize = 64 * 1024;
/// Bytes of a guest's output in one frame.
pub const OUTPUT_PIECE_BYTES_MAX: usize = 32 * 1024;
/// Bytes of a source file's name in a panic.
pub const FILE_NAME_BYTES_MAX: usize = 1024;
/// How long input may lie unseen while a component waits for it or for something else.
pub const STDIN_LOOK_TIME_MAX: Duration = Duration::from_millis(10);
/// Values that the JSON arguments of one call of a plain export may become.
pub const CONVERTED_VALUES_MAX: usize = 8_000_000;
/// Bytes of a call as `--invoke` takes it.
pub const EXPRESSION_BYTES_MAX: usize = 32 * 1024;
/// Bytes of a task's environment, which travels in its start frame, with the terminators that a guest sees.
pub const ENVIRONMENT_BYTES_MAX: usize = 32 * 1024;
/// Directories that one task may be granted.
pub const DIRS_MAX: usize = 32;
/// Addresses of the network, with their ports, that one task may be granted.
pub const NETS_MAX: usize = 32;
/// Addresses that the granted names of one task may have together; they travel in one frame.
pub const NET_ADDRESSES_MAX: usize = 256;
/// How long the name of a granted host is looked up.
pub const NAME_LOOKUP_TIME_MAX: Duration = Duration::from_secs(5);
/// Queues, locks and the like that one task may be granted.
pub const GRANTS_MAX: usize = 64;
/// Handles to them that one instance may hold at a time.
pub const SYNC_HANDLES_MAX: usize = 1024;
/// Attempts and threads of the host that hold or wait for one object at a time.
pub const HOLDERS_MAX: u32 = 4096;
/// How long the host program waits for a participant that stays inside an object.
pub const INSIDE_TIME_MAX: Duration = Duration::from_secs(5);
/// Items of one queue.
pub const QUEUE_CAPACITY_MAX: u32 = 1 << 20;
/// Items of one queue by default.
pub const QUEUE_CAPACITY: u32 = 1024;
/// Bytes of one item by default.
pub const MESSAGE_BYTES: u32 = 1 << 20;
/// Bytes of one item at most.
pub const MESSAGE_BYTES_MAX_OPTION: u32 = 256 << 20;
/// Bytes of all items of one queue together by default.
pub const QUEUE_BYTES: u64 = 64 * MIB;
/// Bytes of all items of one queue together at most.
pub const QUEUE_BYTES_MAX: u64 = 16 * GIB;
/// How often an item is delivered before it is a dead letter, by default.
pub const DELIVERIES: u32 = 5;
/// Bytes of one shared array.
pub const ARRAY_BYTES_MAX: u64 = 4 * GIB;
/// Permits of one semaphore.
pub const PERMITS_MAX: u32 = i32::MAX as u32;
/// Entries of one shared dictionary, by default.
pub const DICT_ENTRIES: usize = 10_000;
/// Bytes of all keys and values of one shared dictionary, by default.
pub const DICT_BYTES: usize = 16 << 20;
/// Bytes of one key.
pub const DICT_KEY_BYTES_MAX: usize = 256;
/// Bytes of one value: two of them travel in one frame.
pub const DICT_VALUE_BYTES_MAX: usize = 16 * 1024;
/// How deep tasks may submit tasks that submit tasks.
pub const NESTED_DEPTH_MAX: u32 = 8;
/// Tasks that one attempt may have submitted and not yet seen the end of.
pub const NESTED_TASKS_MAX: usize = 1024;
/// Submitted tasks of one supervisor whose arguments lie in memory files.
pub const NESTED_FILES_MAX: usize = 256;
/// How long a task waits in a host import before it gives its place in the pool back.
pub const WAIT_WITH_SLOT_TIME_MAX: Duration = Duration::from_millis(10);
/// The same for a wait for a submitted task, which in a full pool cannot begin before.
pub const JOIN_WITH_SLOT_TIME_MAX: Duration = Duration::from_millis(1);
/// Tasks of one pool that wait in a host import and have given their places back.
pub const WAITING_WORKERS_MAX: usize = 64;
/// How often a task that waits looks for what the supervisor has to say.
pub const WAIT_LOOK_TIME_MAX: Duration = Duration::from_millis(100);
/// Between the two looks that find a deadlock.
pub const DEADLOCK_LOOK_TIME: Duration = Duration::from_millis(100);
/// Bytes of a manifest.
pub const MANIFEST_BYTES_MAX: usize = 4 << 20;
/// Tasks that are written in one manifest, before matrices and files of inputs make more of them.
pub const MANIFEST_TASKS_MAX: usize = 10_000;
/// Tasks that matrices make, in one batch. Lines of a file are not counted: they are read while they are needed.
pub const MATRIX_TASKS_MAX: u64 = 10_000_000;
/// Files that the patterns of one manifest find.
pub const GLOB_FILES_MAX: usize = 1_000_000;
/// Daemon tasks of one batch.
pub const DAEMONS_MAX: usize = 64;
/// How often a task may be tried again.
pub const RETRIES_MAX: u32 = 1000;
/// Memory limits of the tasks of a batch that run at one time, together, in percent of what there is, by default.
pub const MEMORY_BUDGET_PERCENT: u64 = 80;
