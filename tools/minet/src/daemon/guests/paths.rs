//! Guests' paths that last.

use super::{Guests, calls::target};
use messenger::protocol::{Done, Path, PathCommand, PathInfo, PathSpec, To};
use messenger_core::{Code, Node, PortId, Status, Time};

/// Paths of one guest.
const PATHS: usize = 4_096;

impl Guests {
    pub(super) fn open_path(
        &mut self,
        number: usize,
        spec: PathSpec,
        node: &mut Node,
        now: Time,
    ) -> Result<Done, Status> {
        let PathSpec { from, to, choice, hunt, announced } = spec;
        if from != PortId::NODE {
            self.own(number, from)?;
        }
        let Some(guest) = self.guests.get_mut(&number) else { return Err(Status::new(Code::NotOpen)) };
        if guest.paths.len() >= PATHS {
            return Err(Status::with(Code::Exhausted, PATHS));
        }
        // Of a name or a pattern the guest says who gets a message; everything else means all.
        let names = matches!(to, To::Name(_) | To::Pattern(_));
        let (to, all) = target(to, node)?;
        let choice = if names { choice } else { all };
        // One that is refused may be told closed: its number is not used again.
        self.numbers += 1;
        let context = self.numbers;
        let spec = messenger_core::PathSpec { from, to, choice, hunt, announced, context };
        let path = node.exchange_mut().open_path(now, spec)?;
        guest.paths.insert(context, path);
        self.path_owners.insert(context, number);
        Ok(Done::Path(Path(context)))
    }

    pub(super) fn command_path(
        &mut self,
        number: usize,
        path: Path,
        command: PathCommand,
        node: &mut Node,
        now: Time,
    ) -> Result<Done, Status> {
        let id = self.guests.get(&number).and_then(|guest| guest.paths.get(&path.0)).copied();
        let id = id.ok_or(Status::new(Code::BadHandle))?;
        let exchange = node.exchange_mut();
        match command {
            PathCommand::Quiesce => exchange.quiesce_path(now, id)?,
            PathCommand::Enable => exchange.enable_path(now, id)?,
            PathCommand::Reset => exchange.reset_path(now, id)?,
            PathCommand::Close => exchange.close_path(now, id)?,
            PathCommand::Finish => exchange.finish_path(now, id)?,
            PathCommand::Ask => {
                let path = exchange.path(id).ok_or(Status::new(Code::BadHandle))?;
                let (count, counts) = (|n: usize| u32::try_from(n).unwrap_or(u32::MAX), path.counts());
                return Ok(Done::PathInfo(PathInfo {
                    state: path.state(),
                    number: id.number(),
                    matches: count(path.matches()),
                    outstanding: count(path.outstanding()),
                    sends: counts.sends,
                    messages: counts.messages,
                    bytes: counts.bytes,
                    refused: counts.refused,
                }));
            }
        }
        Ok(Done::Nothing)
    }
}
