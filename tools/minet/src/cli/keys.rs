//! `minet key` and `minet join`: what is done without a daemon.

use super::{
    args::{JoinArgs, KeyCommand},
    print,
};
use crate::trust::{Book, Joined, Token, join as join_fabric};
use fabric_seal::{Identity, KeyFile, KeyFileError};
use std::{
    error::Error,
    fmt::Write as _,
    fs::{self, OpenOptions},
    io::{self, Write as _},
    path::Path,
    process::ExitCode,
};

type Answer = Result<ExitCode, Box<dyn Error>>;

pub(super) fn key(command: &KeyCommand) -> Answer {
    let identity = match command {
        KeyCommand::New { file } => {
            let identity = Identity::generate()?;
            KeyFile::create(file, &identity)?;
            identity
        }
        KeyCommand::Show { file } => KeyFile::load(file)?,
    };
    print(&format!("{}\n", identity.public()))?;
    Ok(ExitCode::SUCCESS)
}

pub(super) fn join(args: &JoinArgs) -> Answer {
    let token: Token = args.invitation.parse()?;
    let said = |what: &str, path: &Path, e: &dyn Error| format!("cannot {what} {}: {e}", path.display());
    fs::create_dir_all(&args.dir).map_err(|e| said("make", &args.dir, &e))?;
    let config = args.dir.join(format!("{}.toml", token.name));
    if config.exists() {
        return Err(format!("{} is there already: this node was set up before", config.display()).into());
    }
    let key = args.dir.join(format!("{}.key", token.name));
    let identity = match KeyFile::load(&key) {
        Err(KeyFileError::Read { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
            let identity = Identity::generate()?;
            KeyFile::create(&key, &identity)?;
            identity
        }
        other => other?,
    };
    let book = args.dir.join(format!("{}.trust", token.name));
    // Before the invitation is used: a book that cannot be had would waste it.
    Book::open(Some(&book), Vec::new())?;
    let joined = join_fabric(identity, &token)?;
    let text = config_of(&token, &joined, args, &key, &book);
    let mut options = OpenOptions::new();
    let written = options.write(true).create_new(true).open(&config).and_then(|mut f| f.write_all(text.as_bytes()));
    written.map_err(|e| said("write", &config, &e))?;
    print(&format!(
        "joined fabric {} as {} (id {}); start the node with `minet run --config {}`\n",
        token.fabric,
        token.name,
        token.node,
        config.display()
    ))?;
    Ok(ExitCode::SUCCESS)
}

/// The configuration of a node that joined.
fn config_of(token: &Token, joined: &Joined, args: &JoinArgs, key: &Path, book: &Path) -> String {
    let Joined { contact } = joined;
    let mut text = String::new();
    let absolute = |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf()).display().to_string();
    let mut line = |words: std::fmt::Arguments<'_>| {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{words}");
    };
    line(format_args!("# Made by `minet join`.\nname = {:?}\nid = {}", &*token.name, token.node));
    line(format_args!("fabric = {:?}\n", &*token.fabric));
    line(format_args!("[trust]\nkey = {:?}\nbook = {:?}\n", absolute(key), absolute(book)));
    line(format_args!("[udp]\nlisten = {:?}\n", args.listen.to_string()));
    line(format_args!("[[peer]]\nname = {:?}\nid = {}", &*contact.name, contact.node));
    let address = contact.address.map_or(String::new(), |a| a.to_string());
    line(format_args!("key = {:?}\naddress = {address:?}", contact.key.to_string()));
    text
}
