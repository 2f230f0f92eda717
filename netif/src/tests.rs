//! Tests against the kernel, each in a network namespace of its own that ends with the test's thread. Without privilege
//! they say so and show nothing.

use crate::{
    Address, Change, Control, Error, Interface, Mode, Monitor, Offloads, TapConfig, find, plain, sys::world, tap,
};
use rustix::event::{PollFd, PollFlags, poll};
use std::{os::fd::AsFd, thread};

/// Runs `test` in a thread with a network of its own.
fn alone(test: impl FnOnce() + Send) {
    thread::scope(|scope| {
        let inner = scope.spawn(|| {
            if world::private_network() {
                test();
            } else {
                println!("skipped: a network namespace needs CAP_SYS_ADMIN");
            }
        });
        if let Err(panic) = inner.join() {
            std::panic::resume_unwind(panic);
        }
    });
}

fn open(name: &str, queues: usize) -> Result<Interface, Error> {
    tap::open(&TapConfig { name: name.to_owned(), queues, ..TapConfig::default() })
}

#[test]
fn a_tap_has_what_was_asked_for_and_goes_with_its_holder() {
    alone(|| {
        let tap = open("mn0", 1).unwrap();
        assert_eq!((tap.name(), tap.mode(), tap.has_vnet_header(), tap.queues().len()), ("mn0", Mode::Tap, true, 1));
        assert!(tap.offloads().csum && tap.offloads().tso4 && tap.offloads().tso6);
        let link = find("mn0").unwrap().unwrap();
        assert_eq!(link.kind.as_deref(), Some("tun"));
        let tun = link.tun.unwrap();
        assert!(tun.mode == Mode::Tap && tun.vnet_header && !tun.persist && !tun.multi_queue && !tun.packet_info);
        drop(tap);
        assert_eq!(find("mn0").unwrap(), None);
    });
}

#[test]
fn several_queues_and_fewer_offloads() {
    alone(|| {
        let offloads = Offloads { uso: false, tso6: false, ..Offloads::ALL };
        let tap = tap::open(&TapConfig { name: "mn0".into(), queues: 3, offloads, persist: false }).unwrap();
        assert_eq!((tap.queues().len(), tap.offloads()), (3, offloads));
        assert!(tap.queue(2).is_some() && tap.queue(3).is_none());
        assert_eq!(find("mn0").unwrap().unwrap().tun.unwrap().queues, 3);
        assert!(matches!(open("mn0", 3), Err(Error::Busy { .. })), "queues are not shared with another holder");
    });
}

#[test]
fn reads_do_not_block_and_frames_have_their_header() {
    alone(|| {
        let tap = open("mn0", 1).unwrap();
        let mut control = Control::open("mn0").unwrap();
        control.set_up(true).unwrap();
        let mut bytes = [0; 70_000];
        // The kernel itself sends router solicitations and the like; read whatever there is until there is none.
        let end = loop {
            match rustix::io::read(tap.queue(0).unwrap(), &mut bytes[..]) {
                Ok(n) => assert!(n > 10 + 14),
                Err(e) => break e,
            }
        };
        assert_eq!(end, rustix::io::Errno::AGAIN);
        // A frame of an experimental type, with its header in front, is taken and counted.
        let before = control.link().unwrap().counters;
        let mut frame = [0; 10 + 60];
        frame[10..16].fill(0xff);
        frame[16..22].copy_from_slice(&[2, 0x4d, 0, 0, 0, 9]);
        frame[22..24].copy_from_slice(&[0x88, 0xb5]);
        assert_eq!(rustix::io::write(tap.queue(0).unwrap(), &frame), Ok(70));
        let after = control.link().unwrap().counters;
        assert_eq!((after.rx_packets - before.rx_packets, after.rx_bytes - before.rx_bytes), (1, 60));
    });
}

#[test]
fn a_left_interface_is_taken_over() {
    alone(|| {
        for (left, wanted) in [(1, 1), (1, 2), (2, 1), (2, 2)] {
            let first = TapConfig { name: "mn0".into(), queues: left, persist: true, ..TapConfig::default() };
            drop(tap::open(&first).unwrap());
            assert!(find("mn0").unwrap().unwrap().tun.unwrap().persist, "left behind");
            let tap = open("mn0", wanted).unwrap();
            assert_eq!(tap.queues().len(), wanted);
            assert!(!find("mn0").unwrap().unwrap().tun.unwrap().persist);
            drop(tap);
            assert_eq!(find("mn0").unwrap(), None, "{left} {wanted}");
        }
    });
}

#[test]
fn a_held_interface_is_busy() {
    alone(|| {
        let held = open("mn0", 1).unwrap();
        assert!(matches!(open("mn0", 1), Err(Error::Busy { .. })));
        let text = plain::open("mn0", Mode::Tap).unwrap_err().to_string();
        assert_eq!(text, "interface `mn0` is held by another process");
        drop(held);
    });
}

#[test]
fn a_name_of_another_kind_is_refused_and_left_alone() {
    alone(|| {
        let tun = plain::open("mn0", Mode::Tun).unwrap();
        assert_eq!((tun.mode(), tun.has_vnet_header(), tun.offloads()), (Mode::Tun, false, Offloads::NONE));
        let text = open("mn0", 1).unwrap_err().to_string();
        assert_eq!(text, "interface `mn0` exists and is a TUN, not a TAP");
        let text = open("lo", 1).unwrap_err().to_string();
        assert_eq!(text, "interface `lo` exists and is a physical or loopback interface, not a TAP");
        assert!(find("lo").unwrap().is_some() && find("mn0").unwrap().is_some());
    });
}

#[test]
fn plain_interfaces_come_from_tun_tap() {
    alone(|| {
        for mode in [Mode::Tap, Mode::Tun] {
            let interface = plain::open("mn0", mode).unwrap();
            assert_eq!((interface.name(), interface.mode(), interface.queues().len()), ("mn0", mode, 1));
            let end = rustix::io::read(interface.queue(0).unwrap(), &mut [0; 2000][..]).unwrap_err();
            assert!(matches!(end, rustix::io::Errno::AGAIN | rustix::io::Errno::IO), "{end}");
        }
        assert!(matches!(plain::open("0123456789abcdef", Mode::Tap), Err(Error::NameTooLong { .. })));
    });
}

#[test]
fn what_is_set_is_what_the_kernel_says() {
    alone(|| {
        let _tap = open("mn0", 1).unwrap();
        let mut control = Control::open("mn0").unwrap();
        control.set_mac([2, 0x4d, 0, 0, 0, 7]).unwrap();
        control.set_mtu(9000).unwrap();
        assert!(!control.link().unwrap().up);
        control.set_up(true).unwrap();
        let link = control.link().unwrap();
        assert_eq!(
            (link.index, link.mtu, link.mac, link.up),
            (control.index(), 9000, Some([2, 0x4d, 0, 0, 0, 7]), true)
        );
        control.set_up(false).unwrap();
        assert!(!control.link().unwrap().up);
        let e = control.set_mtu(10).unwrap_err();
        assert!(e.to_string().contains("cannot set the MTU (interface `mn0`)"), "{e}");
        assert_eq!(e.errno(), Some(libc::EINVAL));
    });
}

#[test]
fn the_carrier_can_be_turned_off_and_on() {
    alone(|| {
        let _tap = open("mn0", 1).unwrap();
        let mut control = Control::open("mn0").unwrap();
        control.set_up(true).unwrap();
        assert!(control.link().unwrap().carrier);
        control.set_carrier(false).unwrap();
        assert!(!control.link().unwrap().carrier);
        control.set_carrier(true).unwrap();
        assert!(control.link().unwrap().carrier);
    });
}

#[test]
fn addresses_come_and_go() {
    alone(|| {
        let _tap = open("mn0", 1).unwrap();
        let mut control = Control::open("mn0").unwrap();
        control.set_up(true).unwrap();
        let v4 = Address::new("10.9.8.7".parse().unwrap(), 24);
        let v6 = Address::new("fd00::7".parse().unwrap(), 64).without_dad();
        control.add_address(&v4).unwrap();
        control.add_address(&v6).unwrap();
        control.add_address(&v4).unwrap();
        let all = control.addresses().unwrap();
        assert!(all.contains(&v4) && all.contains(&v6), "{all:?}");
        assert!(v6.is_usable());
        assert_eq!(all.iter().filter(|a| a.ip == v4.ip).count(), 1);
        assert!(control.remove_address(&v4).unwrap());
        assert!(!control.remove_address(&v4).unwrap());
        assert!(!control.addresses().unwrap().contains(&v4));
        let e = control.add_address(&Address::new("10.9.8.7".parse().unwrap(), 77)).unwrap_err();
        assert!(e.to_string().starts_with("cannot add an address (interface `mn0`)"), "{e}");
    });
}

#[test]
fn a_missing_interface_is_said_to_be_missing() {
    alone(|| {
        assert_eq!(find("nothere").unwrap(), None);
        assert_eq!(Control::open("nothere").err().unwrap().to_string(), "there is no interface `nothere`");
        let tap = open("mn0", 1).unwrap();
        let mut control = Control::open("mn0").unwrap();
        drop(tap);
        assert!(matches!(control.link(), Err(Error::NoInterface { .. })));
        assert!(matches!(control.set_mtu(1400), Err(Error::NoInterface { .. })));
    });
}

#[test]
fn changes_by_others_are_told() {
    alone(|| {
        let tap = open("mn0", 1).unwrap();
        let _other = open("mn1", 1).unwrap();
        let mut control = Control::open("mn0").unwrap();
        let mut monitor = Monitor::open(control.index()).unwrap();
        let mut changes = Vec::new();
        monitor.read(&mut changes).unwrap();
        assert_eq!(changes, [], "nothing changed yet, and reading does not block");
        Control::open("mn1").unwrap().set_mtu(1300).unwrap();
        control.set_mtu(1400).unwrap();
        control.set_up(true).unwrap();
        let address = Address::new("10.9.8.7".parse().unwrap(), 24);
        control.add_address(&address).unwrap();
        control.remove_address(&address).unwrap();
        drop(tap);
        while !changes.contains(&Change::Gone) {
            let mut fds = [PollFd::new(&monitor, PollFlags::IN)];
            assert_eq!(poll(&mut fds, Some(&rustix::time::Timespec { tv_sec: 10, tv_nsec: 0 })), Ok(1));
            monitor.read(&mut changes).unwrap();
        }
        let at =
            |wanted: &dyn Fn(&Change) -> bool| changes.iter().position(wanted).unwrap_or_else(|| panic!("{changes:?}"));
        let mtu = at(&|c| matches!(c, Change::Link(l) if l.mtu == 1400 && !l.up));
        let up = at(&|c| matches!(c, Change::Link(l) if l.up));
        let added = at(&|c| *c == Change::Address(address));
        let removed = at(&|c| *c == Change::NoAddress(address));
        assert!(mtu < up && up < added && added < removed);
        assert!(!changes.iter().any(|c| matches!(c, Change::Link(l) if l.name != "mn0")));
        let _ = monitor.as_fd();
    });
}

#[test]
fn without_privilege_the_capability_and_the_device_are_named() {
    alone(|| {
        let tap = open("mn0", 1).unwrap();
        let mut control = Control::open("mn0").unwrap();
        assert!(world::no_privilege());
        for e in [open("mn1", 1).unwrap_err(), plain::open("mn1", Mode::Tun).unwrap_err()] {
            assert_eq!(
                e.to_string(),
                "no permission to open a TAP or TUN (interface `mn1`): the capability CAP_NET_ADMIN is needed, and read \
                 and write access to /dev/net/tun"
            );
        }
        let e = control.set_mtu(1400).unwrap_err().to_string();
        assert_eq!(e, "no permission to set the MTU (interface `mn0`): the capability CAP_NET_ADMIN is needed");
        drop(tap);
    });
}

#[test]
fn without_the_device_the_driver_is_named() {
    alone(|| {
        if world::no_device() {
            let e = open("mn0", 1).unwrap_err();
            assert!(matches!(e, Error::NoDevice { .. }));
            assert!(e.to_string().starts_with("/dev/net/tun is not there"));
            assert!(matches!(plain::open("mn0", Mode::Tun), Err(Error::NoDevice { .. })));
        } else {
            println!("skipped: hiding /dev/net needs CAP_SYS_ADMIN");
        }
    });
}

#[test]
fn many_interfaces_at_once_do_not_meet() {
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                alone(|| {
                    for n in 0..8 {
                        let name = format!("mn{n}");
                        let tap = open(&name, 1 + n % 3).unwrap();
                        let mut control = Control::open(&name).unwrap();
                        control.set_up(true).unwrap();
                        control.add_address(&Address::new([10, 0, n as u8, 1].into(), 24)).unwrap();
                        assert_eq!(tap.queues().len(), 1 + n % 3);
                    }
                });
            });
        }
    });
}
