//! Links that take messages of different sizes.

use crate::{cable::Cable, world::World};
use std::time::Duration;

/// `PROTOCOL 2.6`, `4.1`: what is sliced for the first link fits the others too, wherever the narrowest is. It may become
/// narrower while everything runs, which one end of the link is enough to know, and wider again.
#[test]
fn slices_fit_every_link_of_the_way() {
    for sizes in [[1_000, 600, 65_600], [65_600, 600, 1_000], [600, 1_000, 300], [300, 65_600, 600]] {
        let mut w = World::with(9, 4);
        for (at, message) in sizes.into_iter().enumerate() {
            w.join_with(Cable { message, ..Cable::new(at, at + 1) });
        }
        w.run(Duration::from_secs(3));
        let mark = w.stations[0].seen.len();
        for middle in [sizes[1], 400, 1_200] {
            resize(&mut w, 1, middle);
            w.run(Duration::from_secs(3));
            let narrowest = sizes[0].min(middle).min(sizes[2]);
            for (from, to) in [(0, 3), (3, 0)] {
                let way = w.stations[from].node.route(w.stations[to].id());
                w.check(way.map(|r| r.message) == Some(narrowest), format_args!("{way:?}, not {narrowest}"));
            }
            w.check_members();
            w.check_frames(1514);
            w.check_stories();
        }
        w.check(w.ups_and_downs(0, 3, mark) == (0, 0), "nobody went for that");
        w.check_silence(Duration::from_secs(5));
    }
}

/// A cable takes messages of another size. Its first end is told; that it takes larger ones, both are.
fn resize(w: &mut World, cable: usize, message: u32) {
    let wider = std::mem::replace(&mut w.cables[cable].message, message) < message;
    for end in 0..if wider { 2 } else { 1 } {
        let (place, link) = (w.cables[cable].ends[end], w.cables[cable].links[end].unwrap());
        let now = w.now + w.stations[place].skew;
        w.stations[place].node.set_link_message(now, link, message);
        w.pump(place);
    }
}
