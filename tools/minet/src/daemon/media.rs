//! Carriers that stand on something that comes and goes: an Ethernet interface, a serial device.
//!
//! A lane reports when a medium comes or goes. With it go the links over it, at once; when it is back those that were
//! configured are opened again. On an Ethernet, nodes of the fabric are sought by a broadcast: often at first and after a
//! link was lost, rarely otherwise.

use super::{Lanes, wires::Wires};
use crate::{
    config::{Ether, Serial},
    lane::{Activity, Command},
};
use fabric::{Address, Channel, Medium, Peer, ether::MacAddr};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

/// How often peers are sought in the first time.
const OFTEN: Duration = Duration::from_millis(250);
/// How long that is.
const EAGER: Duration = Duration::from_secs(5);
/// How often they are sought after that.
const RARELY: Duration = Duration::from_secs(2);

/// What a carrier stands on, as configured.
#[derive(Clone, Debug)]
pub(crate) enum Underlay {
    Ether(Ether),
    Serial(Serial),
}

impl Underlay {
    fn kind(&self) -> &'static str {
        match self {
            Underlay::Ether(_) => "ether",
            Underlay::Serial(_) => "serial",
        }
    }

    fn priority(&self) -> u8 {
        match self {
            Underlay::Ether(ether) => ether.priority,
            Underlay::Serial(serial) => serial.priority,
        }
    }

    /// Whether all over it is sealed.
    pub(super) fn is_sealed(&self) -> bool {
        match self {
            Underlay::Ether(ether) => ether.sealed,
            Underlay::Serial(serial) => serial.sealed,
        }
    }

    /// Whom to greet as long as it is there. Where it is sealed links begin with their keys.
    fn peers(&self) -> Vec<Address> {
        if self.is_sealed() {
            return Vec::new();
        }
        match self {
            Underlay::Ether(ether) => ether.peers.iter().map(|mac| Address::Ether(*mac)).collect(),
            Underlay::Serial(_) => vec![Address::Line],
        }
    }

    /// Where a sealed one seeks: past all channels, which are sealed.
    fn seeks_at(&self) -> Vec<Address> {
        match self {
            _ if !self.is_sealed() => Vec::new(),
            Underlay::Ether(ether) if ether.seek => vec![Address::Ether(MacAddr::broadcast())],
            Underlay::Ether(ether) => ether.peers.iter().map(|mac| Address::Ether(*mac)).collect(),
            Underlay::Serial(_) => vec![Address::Line],
        }
    }
}

/// Where a word that seeks goes.
pub(super) enum Seek {
    /// To everybody, by this channel.
    All(Channel),
    /// There, in clear text where all else is sealed.
    At(Address),
}

struct Place {
    carrier: usize,
    underlay: Underlay,
    medium: Medium,
    /// Its configured links are open.
    opened: bool,
    /// The channel to everybody.
    all: Option<Channel>,
    seek_at: Instant,
    eager_until: Instant,
}

/// All of them.
#[derive(Default)]
pub(super) struct Media(Vec<Place>);

impl Media {
    pub(super) fn new(underlays: &[(usize, Underlay)]) -> Media {
        let now = Instant::now();
        let place = |(carrier, underlay): &(usize, Underlay)| Place {
            carrier: *carrier,
            underlay: underlay.clone(),
            medium: Medium::Down,
            opened: false,
            all: None,
            seek_at: now,
            eager_until: now,
        };
        Media(underlays.iter().map(place).collect())
    }

    /// Attaches the channels to everybody.
    pub(super) fn start(&mut self, wires: &mut Wires, lanes: &Lanes) {
        let seeking =
            |place: &&mut Place| matches!(&place.underlay, Underlay::Ether(ether) if ether.seek && !ether.sealed);
        for place in self.0.iter_mut().filter(seeking) {
            let (Some(number), Some(mailbox)) = (wires.channel(place.carrier), lanes.mailboxes.first()) else {
                continue;
            };
            let (channel, peer) = (Channel(number), Box::new(Peer::Ether(MacAddr::broadcast())));
            let activity = Arc::new(Activity::default());
            mailbox.give(Command::Attach { carrier: place.carrier, channel, peer, activity });
            place.all = Some(channel);
        }
    }

    fn place(&mut self, carrier: usize) -> Option<&mut Place> {
        self.0.iter_mut().find(|place| place.carrier == carrier)
    }

    /// Notes what a lane reported; whether links that were there are gone by that.
    pub(super) fn changed(&mut self, carrier: usize, medium: Medium) -> bool {
        let Some(place) = self.place(carrier) else { return false };
        let had = std::mem::replace(&mut place.medium, medium) != Medium::Down;
        place.opened = false;
        (place.seek_at, place.eager_until) = (Instant::now(), Instant::now() + EAGER);
        had
    }

    /// A link over this carrier was lost: peers are sought more often for a while.
    pub(super) fn hurry(&mut self, carrier: usize) {
        let Some(place) = self.place(carrier) else { return };
        let now = Instant::now();
        (place.seek_at, place.eager_until) = (place.seek_at.min(now + OFTEN), now + EAGER);
    }

    /// Kind, priority and largest message of a link over this carrier; `None` while it cannot carry.
    pub(super) fn describe(&self, carrier: usize) -> Option<(&'static str, u8, u32)> {
        let place = self.0.iter().find(|place| place.carrier == carrier)?;
        let Medium::Up { message, .. } = place.medium else { return None };
        Some((place.underlay.kind(), place.underlay.priority(), u32::try_from(message).unwrap_or(u32::MAX)))
    }

    /// A peer's address, for people.
    pub(super) fn address(&self, carrier: usize, at: Address) -> String {
        match self.0.iter().find(|place| place.carrier == carrier).map(|place| &place.underlay) {
            Some(Underlay::Ether(ether)) => format!("{at} on {}", ether.interface),
            Some(Underlay::Serial(serial)) => serial.line.path.display().to_string(),
            None => at.to_string(),
        }
    }

    /// Links that are to be opened now; told once.
    pub(super) fn take_unopened(&mut self) -> Vec<(usize, Address)> {
        let ready = self.0.iter_mut().filter(|place| place.medium != Medium::Down && !place.opened);
        let mut all = Vec::new();
        for place in ready {
            place.opened = true;
            all.extend(place.underlay.peers().into_iter().map(|at| (place.carrier, at)));
        }
        all
    }

    /// Where peers are to be sought now.
    pub(super) fn take_seeks(&mut self) -> Vec<(usize, Seek)> {
        let now = Instant::now();
        let mut all = Vec::new();
        for place in self.0.iter_mut().filter(|place| place.seeks() && place.seek_at <= now) {
            place.seek_at = now + if now < place.eager_until { OFTEN } else { RARELY };
            all.extend(place.all.map(|channel| (place.carrier, Seek::All(channel))));
            all.extend(place.underlay.seeks_at().into_iter().map(|at| (place.carrier, Seek::At(at))));
        }
        all
    }

    /// How long until there is something to do.
    pub(super) fn timeout(&self) -> Option<Duration> {
        let now = Instant::now();
        let seek = self.0.iter().filter(|p| p.seeks()).map(|p| p.seek_at.saturating_duration_since(now)).min();
        let open = self.0.iter().any(|place| place.medium != Medium::Down && !place.opened);
        if open { Some(Duration::ZERO) } else { seek }
    }
}

impl Place {
    fn seeks(&self) -> bool {
        self.medium != Medium::Down && (self.all.is_some() || self.underlay.is_sealed())
    }
}
