use super::{
    buffers::{MpsAllocateMessage, MpsFreeMessage, MpsReleaseReceivedMessage},
    exchange::{MpsAsynchronousSend, MpsCancelReceive, MpsSynchronousReceive, MpsSynchronousSend},
    sessions::{MpsClose, MpsGetSpId, MpsOpen, MpsUseNode},
    *,
};
use messenger_mps::SequenceTag;
use std::ptr;

#[test]
fn the_flag_is_that_of_tags() {
    assert_eq!(Some(SequenceTag::from_number(MPS_ASYNCHRONOUS)), SequenceTag::asynchronous(0));
    assert!(MPS_ANY_TRANSACTION > SequenceTag::MAX);
}

/// Nothing is followed that was not given out.
#[test]
fn null_stale_and_foreign_handles_are_refused() {
    let mut here = 7u8;
    let foreign: *mut c_void = (&raw mut here).cast();
    let descriptor =
        MpsSendDescriptor { ContextHandle: ptr::null_mut(), Destination: 1, Ptr: foreign, Size: 1, SequenceTag: 1 };
    for handle in [ptr::null_mut(), ptr::without_provenance_mut(usize::MAX), foreign.cast()] {
        // SAFETY: what is not null may be read and written.
        unsafe {
            assert_eq!(MpsSynchronousSend(handle, &raw const descriptor), Status::NotOpen);
            assert_eq!(MpsAsynchronousSend(handle, &raw const descriptor), Status::NotOpen);
            assert_eq!(MpsSynchronousReceive(handle, 0, 0, ptr::null_mut()), Status::NotOpen);
        }
        assert_eq!((MpsClose(handle), MpsCancelReceive(handle)), (Status::NotOpen, Status::NotOpen));
    }
    for message in [ptr::null_mut(), foreign] {
        assert_eq!(MpsFreeMessage(message), Status::BufferInvalid);
        assert_eq!(MpsReleaseReceivedMessage(message), Status::BufferInvalid);
    }
    // SAFETY: what is not null may be written.
    unsafe {
        assert_eq!(MpsAllocateMessage(1, ptr::null_mut()), Status::Invalid);
        assert_eq!(MpsGetSpId(ptr::null(), ptr::null_mut(), ptr::null_mut()), Status::Invalid);
    }
}

#[test]
fn texts_of_c_are_checked() {
    let wide = |text: &str| -> Vec<libc::wchar_t> {
        text.chars().map(|c| libc::wchar_t::try_from(u32::from(c)).unwrap()).chain([0]).collect()
    };
    let mut handle: MpsHandle = ptr::null_mut();
    let name = wide("größe");
    let none: *const libc::wchar_t = ptr::null();
    // A surrogate, which is no character, and a text without an end.
    let (half, endless) = (vec![0xd800, 0], vec![libc::wchar_t::from(b'x'); 2000]);
    // SAFETY: texts end with a zero, or are long enough not to be read to their end.
    unsafe {
        assert_eq!(MpsUseNode(c"/nowhere".as_ptr(), ptr::null(), ptr::null()), Status::Success);
        for (domain, name) in [
            (ptr::null(), name.as_ptr()),
            (c"MGMTS".as_ptr(), name.as_ptr()),
            (c"".as_ptr(), name.as_ptr()),
            (c"\xff".as_ptr(), name.as_ptr()),
            (c"MGMT".as_ptr(), none),
            (c"MGMT".as_ptr(), half.as_ptr()),
            (c"MGMT".as_ptr(), endless.as_ptr()),
        ] {
            let status = MpsOpen(None, ptr::null(), domain, name, ptr::null_mut(), &raw mut handle);
            assert_eq!(status, Status::Invalid);
        }
        // All is well, but nobody is there.
        let nobody = MpsOpen(None, ptr::null(), c"MGMT".as_ptr(), name.as_ptr(), ptr::null_mut(), &raw mut handle);
        assert_eq!(nobody, Status::Lost);
        let into_nothing =
            MpsOpen(None, ptr::null(), c"MGMT".as_ptr(), name.as_ptr(), ptr::null_mut(), ptr::null_mut());
        assert_eq!((into_nothing, handle.is_null()), (Status::Invalid, true));
    }
}

#[test]
fn no_panic_passes_the_border() {
    assert_eq!(inside(|| Err(Status::Closing.into())), Status::Closing);
    let status = std::thread::spawn(|| inside(|| panic!("seen by nobody but the log"))).join();
    assert_eq!(status.unwrap(), Status::Internal);
}
