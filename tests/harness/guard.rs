//! A small process that outlives this one: when this one is killed without a word (SIGKILL), it removes what is left.
//!
//! It waits at a pipe that the kernel closes with this process, however that ends. What the owner removed itself is not
//! there any more, and what a later owner of the same number has is locked: then it does nothing.

use crate::{Error, Result};
use std::{
    os::unix::process::CommandExt,
    process::{Child, Command, Stdio},
    sync::{Mutex, PoisonError},
};

/// With the root directory and the owner's name. The order is the owner's own: root lock, namespaces, directory.
const SCRIPT: &str = r#"
    read -r _
    exec </dev/null 8<"$1" && flock 8 || exit 0
    [ -e "$1/$2/alive" ] && exec 9<"$1/$2/alive" && flock -n 9 || exit 0
    for round in 1 2; do
        for space in /run/netns/"$2"-*; do
            [ -e "$space" ] || continue
            space=${space##*/}
            for pid in $(ip netns pids "$space"); do kill -KILL "$pid"; done
            ip netns delete "$space"
        done
    done
    rm -rf "${1:?}/${2:?}"
    rmdir "$1"
"#;

/// One for this process.
static GUARD: Mutex<Option<Child>> = Mutex::new(None);

/// Starts it, if there is none yet.
pub(crate) fn start(root: &str, owner: &str) -> Result<()> {
    let mut guard = GUARD.lock().unwrap_or_else(PoisonError::into_inner);
    if guard.is_some() {
        return Ok(());
    }
    let mut command = Command::new("sh");
    // In a group of its own: Ctrl-C at a terminal is not for it.
    command.args(["-c", SCRIPT, "guard", root, owner]).current_dir("/").process_group(0);
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    // The child's end of the pipe is kept with it, for as long as this process lives.
    *guard = Some(command.spawn().map_err(Error::io("start a shell that cleans up"))?);
    Ok(())
}

/// Its process number.
pub(crate) fn id() -> Option<u32> {
    GUARD.lock().unwrap_or_else(PoisonError::into_inner).as_ref().map(Child::id)
}
