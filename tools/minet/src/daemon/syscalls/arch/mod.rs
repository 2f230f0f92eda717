//! System calls that only some processors have: older forms that libraries still use there.

#[cfg(target_arch = "x86_64")]
mod x86_64;

#[cfg(target_arch = "x86_64")]
pub(super) use x86_64::ALLOWED;

/// `rename` of the C library is this one there.
#[cfg(target_arch = "aarch64")]
pub(super) const ALLOWED: &[i64] = &[libc::SYS_renameat];

/// All others have the newer forms alone.
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
pub(super) const ALLOWED: &[i64] = &[];

/// The processor that the filter is for.
pub(super) fn target() -> Result<seccompiler::TargetArch, seccompiler::BackendError> {
    std::env::consts::ARCH.try_into()
}
