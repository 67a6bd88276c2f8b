//! Signal handlers of the worker processes.
//!
//! wasmtime's and std's handlers for SIGSEGV, SIGBUS, SIGFPE and SIGILL take a signal that another
//! process sent for a fault, find no faulting instruction, restore the default and return: the first
//! such signal is swallowed. [`fault_handlers_in_front`] puts a handler before them that tells the two
//! apart by `si_code` and dies of a signal from outside at once.
//!
//! Dying must not need `kill`: the system-call filter denies it. So the handler restores the default
//! action and makes the fault itself.

use std::cell::UnsafeCell;
use std::io;
use std::mem::MaybeUninit;
use std::ptr;
use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};
use std::time::Duration;

/// The signal with which the supervisor interrupts the running guest.
pub(crate) const INTERRUPT_SIGNAL: i32 = libc::SIGUSR2;

/// Signals that mean a fault when the kernel sends them.
const FAULTS: [i32; 4] = [libc::SIGSEGV, libc::SIGBUS, libc::SIGFPE, libc::SIGILL];

/// The handlers that were there before ours.
struct Saved(UnsafeCell<[MaybeUninit<libc::sigaction>; FAULTS.len()]>);

// SAFETY: written once, before the handlers that read it are installed.
unsafe impl Sync for Saved {}

static SAVED: Saved = Saved(UnsafeCell::new([const { MaybeUninit::uninit() }; FAULTS.len()]));
static INSTALLED: AtomicUsize = AtomicUsize::new(0);
/// A page of an empty file: touching it is a SIGBUS.
static BUS_PAGE: AtomicPtr<u8> = AtomicPtr::new(ptr::null_mut());
static ON_INTERRUPT: AtomicPtr<()> = AtomicPtr::new(ptr::null_mut());

/// Puts a handler in front of those that are installed, which dies of fault signals that another
/// process sent and passes all others on. Call it after the engine was made; later calls do nothing.
pub(crate) fn fault_handlers_in_front() -> io::Result<()> {
    if INSTALLED.swap(1, Ordering::SeqCst) != 0 {
        return Ok(());
    }
    BUS_PAGE.store(empty_page()?, Ordering::SeqCst);
    for (index, signal) in FAULTS.into_iter().enumerate() {
        // SAFETY: `index` is inside the array, nothing reads the slot before the handler below is
        // installed, and an all-zero `sigaction` is a valid value.
        unsafe {
            let slot = SAVED.0.get().cast::<libc::sigaction>().add(index);
            if libc::sigaction(signal, ptr::null(), slot) != 0 {
                return Err(io::Error::last_os_error());
            }
            let mut action: libc::sigaction = std::mem::zeroed();
            // SA_NODEFER as wasmtime's: a fault inside its handler must reach a handler again.
            action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK | libc::SA_NODEFER;
            action.sa_sigaction = on_fault as *const () as usize;
            libc::sigemptyset(&raw mut action.sa_mask);
            if libc::sigaction(signal, &raw const action, ptr::null_mut()) != 0 {
                return Err(io::Error::last_os_error());
            }
        }
    }
    Ok(())
}

/// A page whose file has no bytes.
fn empty_page() -> io::Result<*mut u8> {
    let file = crate::os::memory_file::create("wasmpool-bus")?;
    // SAFETY: a new mapping at an address that the kernel chooses overlaps nothing.
    let page = unsafe {
        rustix::mm::mmap(
            ptr::null_mut(),
            1,
            rustix::mm::ProtFlags::READ,
            rustix::mm::MapFlags::SHARED,
            &file,
            0,
        )?
    };
    Ok(page.cast())
}

extern "C" fn on_fault(signal: libc::c_int, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    // SAFETY: the kernel passes a valid siginfo to an SA_SIGINFO handler.
    let code = unsafe { (*info).si_code };
    if code <= 0 {
        die_of(signal);
    }
    let Some(index) = FAULTS.iter().position(|fault| *fault == signal) else { return };
    // SAFETY: the slot was filled before this handler was installed and is never written again. A
    // handler with SA_SIGINFO takes three arguments, any other one; the default and "ignore" are no
    // functions, so the action is put back and the instruction faults again on return.
    unsafe {
        let saved = SAVED.0.get().cast::<libc::sigaction>().add(index).read();
        if saved.sa_sigaction == libc::SIG_DFL || saved.sa_sigaction == libc::SIG_IGN {
            libc::sigaction(signal, &raw const saved, ptr::null_mut());
        } else if saved.sa_flags & libc::SA_SIGINFO != 0 {
            type Handler = extern "C" fn(libc::c_int, *mut libc::siginfo_t, *mut libc::c_void);
            std::mem::transmute::<usize, Handler>(saved.sa_sigaction)(signal, info, context);
        } else {
            std::mem::transmute::<usize, extern "C" fn(libc::c_int)>(saved.sa_sigaction)(signal);
        }
    }
}

/// Ends the process by this fault signal. Async-signal-safe: `sigaction` and one instruction.
fn die_of(signal: libc::c_int) {
    // SAFETY: an all-zero `sigaction` is the default action; the signal is not blocked inside its
    // handler (SA_NODEFER), so the fault that follows ends the process.
    unsafe {
        let default: libc::sigaction = std::mem::zeroed();
        libc::sigaction(signal, &raw const default, ptr::null_mut());
        make_fault(signal);
        // Where no fault could be made, the signal itself.
        libc::raise(signal);
    }
}

/// Executes an instruction that the kernel answers with this signal.
///
/// # Safety
///
/// The signal's action is the default one: nothing runs after the fault.
#[cfg(target_arch = "x86_64")]
unsafe fn make_fault(signal: libc::c_int) {
    // SAFETY: each instruction faults, and by the caller's promise the process ends with that.
    unsafe {
        match signal {
            libc::SIGSEGV => std::arch::asm!("mov al, byte ptr [{}]", in(reg) 0_usize, out("al") _),
            libc::SIGILL => std::arch::asm!("ud2"),
            libc::SIGFPE => {
                std::arch::asm!("div {}", in(reg) 0_u64, inout("rax") 1_u64 => _, inout("rdx") 0_u64 => _);
            }
            _ => std::arch::asm!(
                "mov al, byte ptr [{}]", in(reg) BUS_PAGE.load(Ordering::SeqCst), out("al") _
            ),
        }
    }
}

/// Elsewhere `raise` has to do.
#[cfg(not(target_arch = "x86_64"))]
unsafe fn make_fault(_signal: libc::c_int) {}

/// What a timer goes by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Clock {
    /// The CPU time of this process.
    Cpu,
    /// The wall's.
    Wall,
}

/// Calls the interrupt's action whenever as much time has passed again, until the result is dropped.
pub(crate) fn interrupt_each(time: Duration, clock: Clock) -> Timer {
    let timer = match clock {
        Clock::Cpu => Timer(libc::ITIMER_PROF),
        Clock::Wall => Timer(libc::ITIMER_REAL),
    };
    timer.set(time);
    timer
}

/// A timer that runs.
#[derive(Debug)]
pub(crate) struct Timer(libc::c_int);

impl Timer {
    fn set(&self, every: Duration) {
        let every = libc::timeval {
            tv_sec: libc::time_t::try_from(every.as_secs()).unwrap_or(libc::time_t::MAX),
            tv_usec: libc::suseconds_t::from(every.subsec_micros()),
        };
        let timer = libc::itimerval { it_interval: every, it_value: every };
        // SAFETY: reads a valid timer; its signal has a handler, which `on_interrupt` set.
        unsafe { libc::setitimer(self.0, &raw const timer, ptr::null_mut()) };
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        self.set(Duration::ZERO);
    }
}

/// Calls `action` whenever [`INTERRUPT_SIGNAL`] arrives, or [`interrupt_each`] says so. The action must be
/// async-signal-safe.
pub(crate) fn on_interrupt(action: fn()) -> io::Result<()> {
    ON_INTERRUPT.store(action as *mut (), Ordering::SeqCst);
    // SAFETY: the handler only loads an atomic and calls a function that its caller promised to be
    // async-signal-safe. SA_RESTART: an interrupted read or write goes on.
    unsafe {
        let mut handler: libc::sigaction = std::mem::zeroed();
        handler.sa_flags = libc::SA_RESTART | libc::SA_ONSTACK;
        handler.sa_sigaction = on_interrupt_signal as *const () as usize;
        libc::sigemptyset(&raw mut handler.sa_mask);
        for signal in [INTERRUPT_SIGNAL, libc::SIGPROF, libc::SIGALRM] {
            if libc::sigaction(signal, &raw const handler, ptr::null_mut()) != 0 {
                return Err(io::Error::last_os_error());
            }
        }
    }
    Ok(())
}

extern "C" fn on_interrupt_signal(_signal: libc::c_int) {
    let action = ON_INTERRUPT.load(Ordering::SeqCst);
    if !action.is_null() {
        // SAFETY: only `on_interrupt` stores here, and only a `fn()`.
        unsafe { std::mem::transmute::<*mut (), fn()>(action)() };
    }
}

/// Unblocks every signal, and gives those that end a process their default action back: a host may
/// have blocked or ignored them, and both are inherited. SIGXFSZ is ignored.
pub(crate) fn reset() {
    // SAFETY: plain changes of this process's own signal state, with valid pointers.
    unsafe {
        let mut none: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut none);
        libc::sigprocmask(libc::SIG_SETMASK, &raw const none, ptr::null_mut());
        for signal in [
            libc::SIGHUP,
            libc::SIGINT,
            libc::SIGQUIT,
            libc::SIGTERM,
            libc::SIGALRM,
            libc::SIGUSR1,
            libc::SIGCHLD,
            libc::SIGXCPU,
        ] {
            libc::signal(signal, libc::SIG_DFL);
        }
        // A file over its limit is an error to the guest that writes it, not the end of its worker.
        libc::signal(libc::SIGXFSZ, libc::SIG_IGN);
    }
}

/// Dies by SIGSEGV, as after a fault in native code. For the fault kit.
pub(crate) fn die() -> ! {
    die_of(libc::SIGSEGV);
    std::process::abort()
}
