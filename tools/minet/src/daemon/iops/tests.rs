use super::*;
use messenger_core::Name;
use std::{cell::RefCell, rc::Rc};

/// Slots that a test works by hand.
struct Bench {
    happened: VecDeque<HotSwap<Iop>>,
    released: Rc<RefCell<Vec<String>>>,
}

impl Platform for Bench {
    type Device = Iop;

    fn poll(&mut self) -> Option<HotSwap<Iop>> {
        self.happened.pop_front()
    }

    fn released(&mut self, name: &str) {
        self.released.borrow_mut().push(name.to_owned());
    }
}

fn device(name: &str) -> Iop {
    Iop::from_toml(name, "image = '/nonexistent'").unwrap()
}

/// What a platform tells becomes what clients are told, in the same order; what makes no sense is told of and harms nothing, and the
/// platform hears what it may let go.
///
/// Rows: IM-2.
#[test]
fn what_a_platform_tells_clients_are_told_in_order() {
    let config = Config::from_toml("name = 'a'\nrun_dir = '/nonexistent'\n").unwrap();
    let poll = mio::Poll::new().unwrap();
    let bell = fabric::shm::bell().unwrap();
    let mut iops = Iops::new(&config, Some(bell.as_fd())).unwrap();
    let released = Rc::new(RefCell::new(Vec::new()));
    let happened = [
        HotSwap::Inserted(device("x")),
        HotSwap::Inserted(device("y")),
        HotSwap::Inserted(device("x")),
        HotSwap::Wanted("x".into()),
        HotSwap::Wanted("nobody".into()),
        HotSwap::Inserted(device("x")),
        HotSwap::Wanted("y".into()),
    ];
    iops.platform = Some(Box::new(Bench { happened: happened.into(), released: released.clone() }));
    let now = Duration::from_secs(1);
    let mut told = Vec::new();
    while iops.hot_swap(now, &config, (poll.registry(), 512)) {
        while let Some(task) = iops.poll(now, &config, poll.registry()) {
            if let Task::Tell(kind @ ("iop-added" | "iop-removed"), node, _) = task {
                told.push((kind, node));
            }
        }
    }
    let [x, y] = ["x", "y"].map(|name| NodeId::from_name(&Name::new(name).unwrap()));
    let expected = [("iop-added", x), ("iop-added", y), ("iop-removed", x), ("iop-added", x), ("iop-removed", y)];
    assert_eq!(told, expected);
    assert_eq!(*released.borrow(), ["x", "y"]);
    assert_eq!(iops.iter().map(|(iop, _)| iop.name.to_string()).collect::<Vec<_>>(), ["x"]);
}

/// Files that come and go in a directory are devices; one that is none is told of and looked at again when it was mended.
#[test]
fn files_are_devices() {
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str| dir.path().join(name);
    std::fs::write(file("a.toml"), "kind = 'process'\nid = 7\n").unwrap();
    std::fs::write(file("b.txt"), "").unwrap();
    let mut slots = slots::Slots::open(dir.path()).unwrap();
    let Some(HotSwap::Inserted(a)) = slots.poll() else { panic!() };
    assert_eq!((&*a.name, a.id.get(), a.kind), ("a", 7, IopKind::Process));
    assert_eq!(slots.poll(), None);
    std::fs::write(file("c.toml"), "no table").unwrap();
    assert_eq!(slots.poll(), None);
    std::fs::write(file("c.toml"), "").unwrap();
    std::fs::remove_file(file("a.toml")).unwrap();
    assert_eq!(slots.poll(), Some(HotSwap::Wanted("a".into())));
    assert!(matches!(slots.poll(), Some(HotSwap::Inserted(c)) if &*c.name == "c"));
    assert_eq!(slots.poll(), None);
}
