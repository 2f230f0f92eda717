//! The control thread's part for guests: the core does what they want, and what it tells goes to them.

use super::Control;
use mio::Token;

impl Control {
    /// Serves the guests' door, or one guest.
    pub(super) fn handle_guest(&mut self, token: Token) {
        self.guests.handle(token, &mut self.node, self.clock.now());
    }

    /// Serves guests who had their turn and want more, and lets go of those who were told to go.
    pub(super) fn serve_guests(&mut self) {
        self.guests.handle_timeout(&mut self.node, self.clock.now());
    }

    /// Tells guests what the core has for them.
    pub(super) fn tell_guests(&mut self) {
        self.guests.deliver(&mut self.node, self.clock.now());
    }

    /// Closes everything that belongs to guests, and tells them.
    pub(super) fn end_guests(&mut self) {
        self.guests.stop(&mut self.node, self.clock.now());
    }
}
