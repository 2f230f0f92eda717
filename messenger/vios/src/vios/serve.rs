//! Requests that are documents.

use super::{Incoming, Vios};
use crate::{
    Class, Event, Request, ViosError,
    opcode::XML,
    xml::{self, Exception, Object, VioRequest, VioResponse, XmlError},
};
use messenger::{Code, Status};

impl Vios {
    /// Answers a document with what `handler` makes of it, and tells the event that follows: *Lifecycle* with key
    /// `class/key` and the version of the first object when one was made, changed or removed; *Alert* with the key of the request and version 0
    /// when it failed. To read or list nodes needs no handler: any node can be asked for all of them.
    ///
    /// # Errors
    /// The node is gone. That nobody waits for the answer any more is none.
    pub fn serve(
        &mut self,
        incoming: &Incoming,
        handler: impl FnOnce(&VioRequest) -> Result<Vec<Object>, Exception>,
    ) -> Result<VioResponse, ViosError> {
        let request = match VioRequest::parse(&incoming.packet.payload) {
            Ok(request) if incoming.packet.sub.opcode == XML => Ok(request),
            Ok(_) => Err(Exception::from(Code::NotSupported)),
            Err(error) => Err(Exception { status: Status::new(Code::Invalid), text: error.to_string() }),
        };
        let (response, event) = match request {
            Err(exception) => (VioResponse(Err(exception)), None),
            Ok(request) => {
                let response = VioResponse(match (&*request.object.class, &*request.action) {
                    ("node", "list" | "read") => self.list_nodes(&request.object.key)?,
                    _ => handler(&request),
                });
                let event = follows(&request, &response);
                (response, event)
            }
        };
        if incoming.wants_response() {
            // A document that cannot be written is an answer without one.
            let document = response.to_xml().unwrap_or_default();
            match self.respond(incoming, response.status(), document.as_bytes()) {
                Err(error) if error.status().is_none() => return Err(error),
                _ => {}
            }
        }
        if let Some(event) = event {
            self.publish(&event)?;
        }
        Ok(response)
    }

    fn list_nodes(&mut self, key: &str) -> Result<Result<Vec<Object>, Exception>, ViosError> {
        let mut found = xml::nodes(&self.registered()?);
        found.retain(|object| key.is_empty() || object.key == key);
        Ok(if found.is_empty() { Err(Code::NotFound.into()) } else { Ok(found) })
    }
}

impl Request {
    /// A document to all other nodes.
    ///
    /// # Errors
    /// [`XmlError`]: it cannot be written.
    pub fn document(document: &VioRequest) -> Result<Request, XmlError> {
        Ok(Request::broadcast(XML, document.to_xml()?))
    }
}

/// The event that callers are told of.
fn follows(request: &VioRequest, response: &VioResponse) -> Option<Event> {
    let Object { class, key, .. } = &request.object;
    // An event has a bounded key.
    let key: String = format!("{class}/{key}").chars().take(60).collect();
    let changes = matches!(&*request.action, "create" | "update" | "remove");
    match &response.0 {
        Err(_) => Some(Event { class: Class::Alert, key, version: 0 }),
        Ok(objects) if changes => {
            let version = objects.first().and_then(|object| object.version).unwrap_or(0);
            Some(Event { class: Class::Lifecycle, key, version })
        }
        Ok(_) => None,
    }
}
