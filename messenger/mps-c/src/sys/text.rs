//! Texts from C.

use messenger_mps::{Error, Status};
use std::ffi::{CStr, c_char};

/// Characters of a wide text at the most: far beyond the longest name.
const WIDE_MOST: usize = 1024;

/// A text in UTF-8. `None` for null.
///
/// # Safety
/// It is null or ends with a zero byte.
pub(super) unsafe fn text(from: *const c_char) -> Result<Option<String>, Error> {
    if from.is_null() {
        return Ok(None);
    }
    // SAFETY: the caller's promise; it is not null.
    let text = unsafe { CStr::from_ptr(from) };
    text.to_str().map(|text| Some(text.to_owned())).map_err(|_| Status::Invalid.into())
}

/// A text of wide characters. `None` for null.
///
/// # Safety
/// It is null or ends with a zero character.
pub(super) unsafe fn wide(from: *const libc::wchar_t) -> Result<Option<String>, Error> {
    if from.is_null() {
        return Ok(None);
    }
    let mut text = String::new();
    for n in 0..WIDE_MOST {
        // SAFETY: no character before this one was the zero at its end.
        let wide = unsafe { from.add(n).read() };
        if wide == 0 {
            return Ok(Some(text));
        }
        text.push(u32::try_from(wide).ok().and_then(char::from_u32).ok_or(Status::Invalid)?);
    }
    Err(Status::Invalid.into())
}
