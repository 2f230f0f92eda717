//! What every middleware leaves to the carrier in its middle.

/// The methods of [`crate::Carrier`] that neither carry messages nor end a channel, for a middleware whose carrier is its
/// field `inner`.
macro_rules! pass_on {
    () => {
        fn kind(&self) -> &'static str {
            self.inner.kind()
        }

        fn attach(&mut self, channel: $crate::Channel, peer: $crate::Peer) -> Result<(), $crate::AttachError> {
            self.inner.attach(channel, peer)
        }

        fn amend(&mut self, channel: $crate::Channel, amend: $crate::Amend) -> Result<(), $crate::AttachError> {
            self.inner.amend(channel, amend)
        }

        fn send_to(&mut self, to: $crate::Address, datagram: &[u8]) -> Result<(), $crate::SendError> {
            self.inner.send_to(to, datagram)
        }

        fn moved(&mut self) -> Option<($crate::Channel, $crate::Address)> {
            self.inner.moved()
        }

        fn limits(&self, channel: $crate::Channel) -> Option<$crate::Limits> {
            self.inner.limits(channel)
        }

        fn resize(&mut self, channel: $crate::Channel, message: usize) {
            self.inner.resize(channel, message);
        }

        fn release(&mut self) {
            self.inner.release();
        }

        fn disarm(&mut self) {
            self.inner.disarm();
        }

        fn waker(&self) -> Option<std::os::fd::BorrowedFd<'_>> {
            self.inner.waker()
        }

        fn counts(&self) -> $crate::Counts {
            self.inner.counts()
        }

        fn medium(&self) -> $crate::Medium {
            self.inner.medium()
        }

        fn worth_waiting(&self) -> bool {
            self.inner.worth_waiting()
        }
    };
}

pub(super) use pass_on;
