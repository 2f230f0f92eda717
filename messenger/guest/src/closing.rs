//! To close a port when what was sent from it is settled; to look at a port, and for a node.

use crate::{
    Code, Contents, Finished, Guest, GuestError, NodeId, PortId,
    callbacks::work,
    inbox::{About, Ending},
    protocol::{Done, Request, pick},
};

impl Guest {
    /// Closes a port when everything that was sent from it is settled; until then it takes and sends nothing new. Messages that
    /// wait are dropped then. The callback is told when it is closed, also if that is at once, after everything that
    /// was settled before; or that the connection ended.
    ///
    /// # Errors
    /// [`GuestError::Refused`]: it is not this guest's. The callback is dropped then.
    pub fn finish(
        &self,
        port: PortId,
        callback: impl FnOnce(Result<Finished, GuestError>) + Send + 'static,
    ) -> Result<Finished, GuestError> {
        self.line().start_threads(work)?;
        let about = About::Finish(port, Some(Ending(Box::new(callback))));
        match self.line().ask(about, Request::Finish { port }, &[])? {
            (Done::Finished(finished), _) => Ok(finished),
            _ => Err(GuestError::Answer),
        }
    }

    /// How many messages are in a port.
    ///
    /// # Errors
    /// [`GuestError::Refused`]: it is not this guest's.
    pub fn look(&self, port: PortId) -> Result<Contents, GuestError> {
        match self.line().ask(About::Nothing, Request::Look { port }, &[])? {
            (Done::Contents(contents), _) => Ok(contents),
            _ => Err(GuestError::Answer),
        }
    }

    /// The number and the name of a node that can be reached, or of the guest's own, by its name or number.
    ///
    /// # Errors
    /// [`GuestError::Refused`] with [`crate::Code::NotFound`]: there is none now.
    pub fn find(&self, node: &str) -> Result<(NodeId, String), GuestError> {
        let refused = GuestError::Refused(Code::NotFound.into());
        let members = self.members()?;
        let found = pick(members.iter().filter(|m| m.up).map(|m| (&*m.node_name, m.node)), node);
        let found = members.into_iter().find(|member| Some(member.node) == found);
        found.map(|member| (member.node, member.node_name)).ok_or(refused)
    }
}
