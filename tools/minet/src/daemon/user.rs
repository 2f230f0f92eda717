//! Another user for the daemon than root: from the moment when its key was read.
//!
//! Users and groups are those of `/etc/passwd` and `/etc/group`; a number needs no entry there. Capabilities that the set-up
//! needs are kept over the change, and dropped when it is done (`privileges`).

use rustix::{
    process::{Gid, Uid},
    thread::{
        CapabilitySet, CapabilitySets, capabilities, remove_capability_from_bounding_set, set_capabilities,
        set_keep_capabilities, set_thread_groups, set_thread_res_gid, set_thread_res_uid,
    },
};
use std::{fs, io};

/// Needed until the set-up is done.
const FOR_SET_UP: CapabilitySet = CapabilitySet::NET_ADMIN
    .union(CapabilitySet::NET_RAW)
    .union(CapabilitySet::NET_BIND_SERVICE)
    .union(CapabilitySet::DAC_OVERRIDE)
    .union(CapabilitySet::SETPCAP);

/// Who a daemon is to be.
#[derive(Debug, PartialEq, Eq)]
struct User {
    uid: u32,
    gid: u32,
    /// Further groups.
    groups: Vec<u32>,
}

/// Becomes a user, by name or number. Other threads do not follow: there must be none.
pub(super) fn become_user(wanted: &str) -> io::Result<()> {
    let read = |path| fs::read_to_string(path).unwrap_or_default();
    let user = find(wanted, &read("/etc/passwd"), &read("/etc/group"));
    let user = user.ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, format!("there is no user `{wanted}`")))?;
    let had = capabilities(None)?;
    if had.effective.contains(CapabilitySet::SETPCAP) {
        for one in had.permitted.difference(FOR_SET_UP).iter() {
            remove_capability_from_bounding_set(one)?;
        }
    }
    set_keep_capabilities(true)?;
    let groups: Vec<Gid> = user.groups.iter().map(|gid| Gid::from_raw(*gid)).collect();
    set_thread_groups(&groups)?;
    let (uid, gid) = (Uid::from_raw(user.uid), Gid::from_raw(user.gid));
    set_thread_res_gid(gid, gid, gid)?;
    set_thread_res_uid(uid, uid, uid)?;
    let keep = had.permitted & FOR_SET_UP;
    set_capabilities(None, CapabilitySets { effective: keep, permitted: keep, inheritable: CapabilitySet::empty() })?;
    set_keep_capabilities(false)
        .map_err(io::Error::from)
        .inspect(|()| log::info!("the daemon is user {} from now on (group {})", user.uid, user.gid))
}

fn find(wanted: &str, passwd: &str, group: &str) -> Option<User> {
    let number: Option<u32> = wanted.parse().ok();
    let entry = passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let (name, _, uid, gid) = (fields.next()?, fields.next()?, fields.next()?.parse().ok()?, fields.next()?);
        (name == wanted || number == Some(uid)).then_some((name, uid, gid.parse().ok()?))
    });
    let (name, uid, gid): (&str, u32, u32) = match (entry, number) {
        (Some(entry), _) => entry,
        // Minus one means "as it is" to the kernel.
        (None, Some(number)) if number != u32::MAX => (wanted, number, number),
        (None, _) => return None,
    };
    let groups = group.lines().filter_map(|line| {
        let mut fields = line.split(':');
        let (gid, members) = (fields.nth(2)?.parse().ok()?, fields.next()?);
        members.split(',').any(|member| member.trim() == name).then_some(gid)
    });
    Some(User { uid, gid, groups: groups.collect() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_are_found_by_name_and_number() {
        let passwd = "root:x:0:0:root:/root:/bin/sh\nminet:x:990:991:,,:/:/bin/false\nbroken\n";
        let group = "kvm:x:36:alice,minet\nmail:x:8:alice\n";
        let minet = || Some(User { uid: 990, gid: 991, groups: vec![36] });
        assert_eq!((find("minet", passwd, group), find("990", passwd, group)), (minet(), minet()));
        assert_eq!(find("1234", passwd, group), Some(User { uid: 1234, gid: 1234, groups: Vec::new() }));
        assert_eq!((find("nobody", passwd, group), find("4294967295", passwd, group)), (None, None));
    }
}
