//! The manager's side.

use super::{FRAGMENT, MESSAGE, Message, WINDOW};
use rustix::net::{RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, recv, sendmsg};
use std::{
    fs::File,
    io::{self, IoSlice},
    mem::MaybeUninit,
    os::{
        fd::{AsFd, OwnedFd},
        unix::fs::FileExt,
    },
    path::Path,
};

/// Sends an image, and has it started with the socket of the shared memory. Waits as long as the other side takes; its end, or
/// that of the line, is the end of it.
///
/// # Errors
/// The image cannot be read, the line ended, or the other side refused.
pub(crate) fn send(line: &OwnedFd, image: &Path, socket: &OwnedFd) -> io::Result<()> {
    let file = File::open(image)?;
    let mut part = vec![0; FRAGMENT];
    let (mut len, mut whole) = (0, crc32fast::Hasher::new());
    loop {
        let got = file.read_at(&mut part, len)?;
        if got == 0 {
            break;
        }
        whole.update(part.get(..got).unwrap_or_default());
        len += got as u64;
    }
    say(line, &Message::Offer { len, sum: whole.finalize() })?;
    let mut answer = vec![0; MESSAGE];
    // Where the next fragment begins, how many are not answered yet, and what the last answer was: there is one to each.
    let (mut next, mut under_way, mut last) = (0, 0, None);
    loop {
        let (_, got) = recv(line, &mut answer[..], RecvFlags::empty())?;
        match Message::parse(answer.get(..got).unwrap_or_default()) {
            Some(Message::Have(have)) if have == len => return start(line, socket),
            Some(Message::Have(have)) if have < len => {
                under_way = u64::saturating_sub(under_way, 1);
                // What was not taken is sent again, when all that is under way has come.
                match last.replace(have) {
                    _ if under_way == 0 => next = have,
                    Some(last) if last == have => continue,
                    _ => {}
                }
                while next < len && under_way < WINDOW {
                    let room = part.len().min(usize::try_from(len - next).unwrap_or(usize::MAX));
                    let got = file.read_at(part.get_mut(..room).unwrap_or_default(), next)?;
                    let bytes = part.get(..got).filter(|b| !b.is_empty()).ok_or(io::ErrorKind::UnexpectedEof)?;
                    say(line, &Message::Fragment { at: next, sum: crc32fast::hash(bytes), bytes })?;
                    next += got as u64;
                    under_way += 1;
                }
            }
            Some(Message::Refused(why)) => return Err(io::Error::other(why.to_owned())),
            _ if got == 0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            _ => return Err(io::ErrorKind::InvalidData.into()),
        }
    }
}

pub(super) fn say(line: &OwnedFd, message: &Message<'_>) -> io::Result<()> {
    rustix::net::send(line, &message.emit(), SendFlags::NOSIGNAL)?;
    Ok(())
}

fn start(line: &OwnedFd, socket: &OwnedFd) -> io::Result<()> {
    let descriptors = [socket.as_fd()];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !control.push(SendAncillaryMessage::ScmRights(&descriptors)) {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    sendmsg(line, &[IoSlice::new(&Message::Start.emit())], &mut control, SendFlags::NOSIGNAL)?;
    Ok(())
}
