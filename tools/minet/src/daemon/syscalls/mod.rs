//! What the running daemon may ask the kernel for: an allow-list of system calls. All else is refused with `EPERM`.
//!
//! | kept | for |
//! | --- | --- |
//! | memory, threads, signals, time | any Rust program: allocation, locks, the lanes' threads, the clock |
//! | reading, writing, waiting | interfaces, sockets, lines, doorbells, capture files |
//! | sockets | UDP, raw Ethernet, netlink, peers of this host, the control socket, guests |
//! | files | the run-time directory, the list of those who may join, devices and interfaces that come back |
//! | memory to share | rings for peers of this host |
//!
//! Not among them: to start programs, to become another user, to get into namespaces, to mount, to load, to trace or to read other processes.
//! The list is put on all threads when everything is set up. Programs that are started inherit it and could not run, so that a
//! node with I/O processors is without it.

mod arch;

use seccompiler::{BpfProgram, SeccompAction, SeccompFilter};
use std::{collections::BTreeMap, io};

/// On every processor.
const ALLOWED: &[i64] = &[
    // Memory.
    libc::SYS_brk,
    libc::SYS_madvise,
    libc::SYS_membarrier,
    libc::SYS_memfd_create,
    libc::SYS_mincore,
    libc::SYS_mmap,
    libc::SYS_mprotect,
    libc::SYS_mremap,
    libc::SYS_msync,
    libc::SYS_munmap,
    // Threads, signals, itself.
    libc::SYS_capget,
    libc::SYS_clone,
    libc::SYS_clone3,
    libc::SYS_exit,
    libc::SYS_exit_group,
    libc::SYS_futex,
    libc::SYS_getegid,
    libc::SYS_geteuid,
    libc::SYS_getgid,
    libc::SYS_getpid,
    libc::SYS_getppid,
    libc::SYS_getrandom,
    libc::SYS_getrusage,
    libc::SYS_gettid,
    libc::SYS_getuid,
    libc::SYS_prctl,
    libc::SYS_prlimit64,
    libc::SYS_restart_syscall,
    libc::SYS_rseq,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_sched_getaffinity,
    libc::SYS_sched_setaffinity,
    libc::SYS_sched_yield,
    libc::SYS_set_robust_list,
    libc::SYS_sigaltstack,
    libc::SYS_sysinfo,
    libc::SYS_tgkill,
    libc::SYS_uname,
    // Time.
    libc::SYS_clock_getres,
    libc::SYS_clock_gettime,
    libc::SYS_clock_nanosleep,
    libc::SYS_gettimeofday,
    libc::SYS_nanosleep,
    libc::SYS_timerfd_create,
    libc::SYS_timerfd_gettime,
    libc::SYS_timerfd_settime,
    // Reading, writing, waiting.
    libc::SYS_close,
    libc::SYS_dup,
    libc::SYS_dup3,
    libc::SYS_epoll_create1,
    libc::SYS_epoll_ctl,
    libc::SYS_epoll_pwait,
    libc::SYS_eventfd2,
    libc::SYS_fcntl,
    libc::SYS_ioctl,
    libc::SYS_lseek,
    libc::SYS_pipe2,
    libc::SYS_ppoll,
    libc::SYS_pread64,
    libc::SYS_preadv,
    libc::SYS_pselect6,
    libc::SYS_pwrite64,
    libc::SYS_pwritev,
    libc::SYS_read,
    libc::SYS_readv,
    libc::SYS_write,
    libc::SYS_writev,
    // Sockets.
    libc::SYS_accept,
    libc::SYS_accept4,
    libc::SYS_bind,
    libc::SYS_connect,
    libc::SYS_getpeername,
    libc::SYS_getsockname,
    libc::SYS_getsockopt,
    libc::SYS_listen,
    libc::SYS_recvfrom,
    libc::SYS_recvmmsg,
    libc::SYS_recvmsg,
    libc::SYS_sendmmsg,
    libc::SYS_sendmsg,
    libc::SYS_sendto,
    libc::SYS_setsockopt,
    libc::SYS_shutdown,
    libc::SYS_socket,
    libc::SYS_socketpair,
    // Files.
    libc::SYS_faccessat,
    libc::SYS_faccessat2,
    libc::SYS_fallocate,
    libc::SYS_fchmod,
    libc::SYS_fchmodat,
    libc::SYS_fdatasync,
    libc::SYS_flock,
    libc::SYS_fstat,
    libc::SYS_fstatfs,
    libc::SYS_fsync,
    libc::SYS_ftruncate,
    libc::SYS_getcwd,
    libc::SYS_getdents64,
    libc::SYS_inotify_add_watch,
    libc::SYS_inotify_init1,
    libc::SYS_inotify_rm_watch,
    libc::SYS_mkdirat,
    libc::SYS_newfstatat,
    libc::SYS_openat,
    libc::SYS_readlinkat,
    libc::SYS_renameat2,
    libc::SYS_statfs,
    libc::SYS_statx,
    libc::SYS_umask,
    libc::SYS_unlinkat,
];

/// Refuses all other system calls to all threads of this process from now on. It needs no-new-privileges, or a capability.
pub(super) fn restrict() -> io::Result<()> {
    seccompiler::apply_filter_all_threads(&program()?).map_err(io::Error::other)
}

fn program() -> io::Result<BpfProgram> {
    let target = arch::target().map_err(io::Error::other)?;
    let rules: BTreeMap<i64, _> = ALLOWED.iter().chain(arch::ALLOWED).map(|call| (*call, Vec::new())).collect();
    let refused = SeccompAction::Errno(libc::EPERM as u32);
    let filter = SeccompFilter::new(rules, refused, SeccompAction::Allow, target).map_err(io::Error::other)?;
    filter.try_into().map_err(io::Error::other)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{fs, net::UdpSocket, process::Command, thread};

    /// One thread is restricted, and those that it starts; the other tests are not.
    #[test]
    fn what_is_not_on_the_list_is_refused_and_the_rest_works() {
        let restricted = thread::spawn(|| {
            rustix::thread::set_no_new_privs(true).unwrap();
            seccompiler::apply_filter(&program().unwrap()).unwrap();
            let denied = |error: io::Error| error.kind() == io::ErrorKind::PermissionDenied;
            assert!(denied(Command::new("true").status().unwrap_err()), "a program");
            assert!(denied(rustix::process::chroot("/").unwrap_err().into()), "another root");
            let sockets = rustix::thread::LinkNameSpaceType::Network;
            let door = fs::File::open("/proc/self/ns/net").unwrap();
            let moved = rustix::thread::move_into_link_name_space(std::os::fd::AsFd::as_fd(&door), Some(sockets));
            assert!(denied(moved.unwrap_err().into()), "another namespace");
            let dir = tempfile::tempdir().unwrap();
            fs::write(dir.path().join("file"), "text").unwrap();
            assert_eq!(fs::read(dir.path().join("file")).unwrap(), b"text");
            UdpSocket::bind("127.0.0.1:0").unwrap();
            thread::spawn(|| assert!(Command::new("true").status().is_err())).join().unwrap();
        });
        restricted.join().unwrap();
        assert!(Command::new("true").status().unwrap().success(), "other threads are as before");
    }
}
