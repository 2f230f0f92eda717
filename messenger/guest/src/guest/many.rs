//! Several messages in one call.

use super::{Guest, envelope};
use crate::{
    Code, GuestError, Message, PortId, SentMany, Status, To,
    inbox::About,
    protocol::{Done, MANY, PAYLOAD_MOST, Request, TOGETHER},
};

impl Guest {
    /// Sends several messages that differ in their payloads only, in order, until one is refused: fewer calls than to send them one by
    /// one. The payload of `message` is not sent.
    ///
    /// # Errors
    /// As for [`Guest::send`], if nothing was sent. Otherwise [`SentMany::refused`] says why not all were.
    pub fn send_many(&self, to: &To, message: &Message, payloads: &[impl AsRef<[u8]>]) -> Result<SentMany, GuestError> {
        let mut all = SentMany { sent: Vec::with_capacity(payloads.len()), refused: Status::GOOD };
        let mut rest = payloads;
        while let Some(first) = rest.first() {
            let (mut count, mut bytes) = (1, first.as_ref().len());
            for payload in rest.iter().take(MANY).skip(1) {
                bytes += payload.as_ref().len();
                if bytes > TOGETHER {
                    break;
                }
                count += 1;
            }
            let (these, others) = rest.split_at(count);
            rest = others;
            let lengths = these.iter().map(|p| u32::try_from(p.as_ref().len()).unwrap_or(u32::MAX)).collect();
            let together: Vec<u8> = these.iter().flat_map(|p| p.as_ref()).copied().collect();
            if together.len() > PAYLOAD_MOST {
                return Err(GuestError::Refused(Status::with(Code::TooLarge, PAYLOAD_MOST)));
            }
            let about = About::SendMany(message.from.unwrap_or(PortId::NODE));
            let request = Request::SendMany { envelope: envelope(to, message), lengths };
            let (done, _) = self.line().ask(about, request, &together)?;
            let Done::SentMany(SentMany { sent, refused }) = done else { return Err(GuestError::Answer) };
            all.sent.extend(sent);
            if !refused.is_good() {
                if all.sent.is_empty() {
                    return Err(GuestError::Refused(refused));
                }
                return Ok(SentMany { refused, ..all });
            }
        }
        Ok(all)
    }
}
